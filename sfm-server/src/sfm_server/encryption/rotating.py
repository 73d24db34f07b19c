"""Bringing everything that a truth holds under the newest keys, while it is worked on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final
from uuid import uuid4

from sfm_core.engine.walking import namespaces_of, pages_of
from sfm_core.errors import EncryptionKeyError
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, Committed, Entry, KeyValueStore, Write
from sfm_server.encryption.cipher import DataKey, Place
from sfm_server.encryption.data_keys import DataKeys
from sfm_server.encryption.values import Found, Values, at_values, is_data_keys
from sfm_server.encryption.watching import GivenKeys

_LEASE = timedelta(seconds=1)
_PASSES: Final = 10

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """What a rotation did.

    Attributes:
        encrypted: Entries that were encrypted anew.
        unchanged: Entries that needed nothing.
        overtaken: Entries that others kept writing, and that the next rotation will see to.
        unreadable: Namespaces with an entry whose key is missing, wrong or destroyed, and why.
    """

    encrypted: int
    unchanged: int
    overtaken: int
    unreadable: dict[str, str]


class Rotation:
    """Encrypts anew what is not encrypted with the newest key of its namespace.

    Versions stay, so nothing is to be indexed and no event is told. An entry
    that somebody writes meanwhile is left as it was written. What is done is
    done: a rotation that is stopped goes on where it was when it is run again.
    """

    def __init__(self, store: KeyValueStore, keys: GivenKeys) -> None:
        """Work on an open store, which sees what is written here as it is."""
        self._store = store
        self._keys = DataKeys(store, keys)
        self._values = Values(self._keys, scheme=store.scheme, plain=True)
        self._owner = f"rotation-{uuid4()}"
        self._encrypted = self._unchanged = 0

    async def run(self, progress: Progress | None = None) -> Rotated:
        """Go through the whole truth.

        Args:
            progress: Told how many entries were looked at.

        Returns:
            What was done.

        Raises:
            ConfigurationError: The keys cannot be read.
            CorruptDataError: A value was changed, moved or cut off.
            BackendError: The store failed. What was done stays.
        """
        unreadable: dict[str, str] = {}
        overtaken = 0
        for namespace in (SYSTEM_NAMESPACE, *await namespaces_of(self._store)):
            try:
                overtaken += await self._namespace(namespace, progress)
            except EncryptionKeyError as error:
                # The others can be seen to all the same; the caller tells of this one.
                unreadable[namespace] = str(error)
        return Rotated(
            encrypted=self._encrypted,
            unchanged=self._unchanged,
            overtaken=overtaken,
            unreadable=unreadable,
        )

    async def _namespace(self, namespace: str, progress: Progress | None) -> int:
        overtaken = 0
        for number in range(_PASSES):
            overtaken = 0
            async for page in pages_of(self._store, namespace):
                overtaken += await self._page(namespace, page, again=number > 0)
                if progress and not number:
                    progress(len(page))
            if not overtaken:
                break
        return overtaken

    async def _page(
        self, namespace: str, page: Sequence[tuple[bytes, Entry]], *, again: bool
    ) -> int:
        """Encrypt a page anew, and tell how many entries somebody else has written meanwhile."""
        if all(not entry.value or is_data_keys(namespace, key) for key, entry in page):
            return 0
        newest = await self._keys.for_writing(namespace)
        old = [
            Found(key, entry)
            for key, entry in page
            if entry.value
            and not entry.value.startswith(newest.header)
            and not is_data_keys(namespace, key)
        ]
        if not again:
            self._unchanged += len(page) - len(old)
        if not old:
            return 0
        opened = await self._values.opened(namespace, old)
        values = [entry.value for entry in opened]
        commits = await at_values(lambda: _commits(namespace, newest, old, opened), values)
        # Each by itself, so that one which is overtaken does not keep the others back.
        results = await self._store.commit(commits, owner=self._owner, lease=_LEASE)
        done = sum(isinstance(result, Committed) for result in results)
        self._encrypted += done
        return len(results) - done


def _commits(
    namespace: str, newest: DataKey, old: Sequence[Found], opened: Sequence[Entry]
) -> list[Commit]:
    return [
        Commit(
            namespace=namespace,
            writes=(
                Write(
                    key,
                    newest.seal(
                        Place(namespace=namespace, key=key, version=entry.version), entry.value
                    ),
                    entry.version,
                ),
            ),
            expect={key: entry.version},
        )
        for (key, _), entry in zip(old, opened, strict=True)
    ]
