"""Encrypting and decrypting the values of many entries at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from sfm_core.engine.apart import inline_or_apart
from sfm_core.errors import CorruptDataError, EncryptionKeyError
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.model.sealed import Sealed, take_apart
from sfm_core.protocols.kv import Entry
from sfm_server.encryption.cipher import DataKey, Place
from sfm_server.encryption.data_keys import PREFIX, DataKeys, KeyName

MAX_INLINE = 512 * 1024
"""What is encrypted on the event loop, in bytes; it takes a millisecond or two."""
EACH = 4096
"""As many bytes as this take as long as what a value takes whatever its length."""

ResultT = TypeVar("ResultT")


class Found(NamedTuple):
    """What a store has under a key.

    Attributes:
        key: The key.
        entry: What stands there.
    """

    key: bytes
    entry: Entry


class Values:
    """Decrypts what a store holds."""

    def __init__(self, keys: DataKeys, *, scheme: str, plain: bool) -> None:
        """Say what is taken.

        Args:
            keys: Finds the data keys.
            scheme: Scheme of the store, for errors.
            plain: Whether values that are not encrypted are taken as they are.
        """
        self._keys = keys
        self._scheme = scheme
        self._plain = plain

    async def opened(self, namespace: str, found: Sequence[Found]) -> list[Entry]:
        """Decrypt the values of entries.

        Args:
            namespace: Where they stand.
            found: The entries and their keys.

        Returns:
            The same entries with their values in clear, in order.

        Raises:
            EncryptionKeyError: A key is missing, wrong or destroyed, or a value is in clear.
            CorruptDataError: A value was changed, moved or cut off.
            BackendError: The store failed.
        """
        parts = [self._apart(namespace, one) for one in found]
        names = {(one.key_id, one.number) for one in parts if one is not None}
        keys = await self._keys.for_reading(namespace, names)

        def work() -> list[Entry]:
            return [
                one.entry if sealed is None else self._open(namespace, one, sealed, keys)
                for one, sealed in zip(found, parts, strict=True)
            ]

        return await at_values(work, [one.entry.value for one in found])

    def _apart(self, namespace: str, found: Found) -> Sealed | None:
        value = found.entry.value
        if not value:
            # It has no content; whether it may be empty is for its reader to say.
            return None
        try:
            sealed = take_apart(value)
        except ValueError as error:
            raise self._corrupt(namespace, found.key, error) from error
        if sealed is None and not self._plain and not is_data_keys(namespace, found.key):
            raise EncryptionKeyError(
                f"A value of the namespace {namespace!r} is not encrypted though there are keys.",
                backend=self._scheme,
                remedy="Where the truth is from before there were keys, run `sfm keys rotate`; "
                "otherwise somebody wrote to the store without them.",
            )
        return sealed

    def _open(
        self, namespace: str, found: Found, sealed: Sealed, keys: Mapping[KeyName, DataKey]
    ) -> Entry:
        place = Place(namespace=namespace, key=found.key, version=found.entry.version)
        try:
            value = keys[sealed.key_id, sealed.number].open(place, sealed)
        except ValueError as error:
            raise self._corrupt(namespace, found.key, error) from error
        return Entry(value, found.entry.version)

    def _corrupt(self, namespace: str, key: bytes, error: ValueError) -> CorruptDataError:
        return CorruptDataError(
            f"The value under {key!r} of the namespace {namespace!r} cannot be decrypted: {error}.",
            backend=self._scheme,
            remedy="Restore the store from a backup, or write the memory anew.",
        )


def is_data_keys(namespace: str, key: bytes) -> bool:
    """Tell whether an entry holds data keys, which are never encrypted again."""
    return namespace == SYSTEM_NAMESPACE and key.startswith(PREFIX)


async def at_values(work: Callable[[], ResultT], values: Iterable[bytes]) -> ResultT:
    """Encrypt or decrypt where it keeps nobody waiting.

    Args:
        work: What to do.
        values: What it is done to.

    Returns:
        What it returned.
    """
    cost = sum(len(value) + EACH for value in values)
    return await inline_or_apart(work, cost=cost, limit=MAX_INLINE)
