"""A truth whose store sees no value in clear."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Self

from sfm_core.clock import Clock, SystemClock
from sfm_core.errors import CorruptDataError, EncryptionKeyError
from sfm_core.model.keys import KeyRange
from sfm_core.protocols.kv import (
    Commit,
    CommitResult,
    Committed,
    Conflict,
    Entry,
    KeyValueStore,
    Write,
)
from sfm_core.protocols.optional import SupportsMaintenance
from sfm_server.encryption.cipher import DataKey, Place
from sfm_server.encryption.data_keys import DataKeys
from sfm_server.encryption.forwarding import ForwardingKeyValueStore
from sfm_server.encryption.upkeep import ErasureUpkeep
from sfm_server.encryption.values import Found, Values, at_values
from sfm_server.encryption.watching import GivenKeys


class EncryptedKeyValueStore(ForwardingKeyValueStore):
    """Encrypts values on their way into a store, and decrypts them on their way out.

    Keys, versions, counters, notes and events stay as they are, since the
    store works with them; and so does a value without a single byte. Everything
    that the store promises, this promises too. Beside the errors of the port,
    whatever has to do with values raises `EncryptionKeyError` where a key is
    missing, wrong or destroyed: nothing is then lost, and nothing reported as absent.

    Its upkeep clears away what keys have left that were destroyed to erase it.
    """

    def __init__(
        self,
        inner: KeyValueStore,
        keys: GivenKeys,
        *,
        plain: bool = False,
        clock: Clock | None = None,
    ) -> None:
        """Wrap a store that is not open yet.

        Args:
            inner: The store; it is opened and closed with the wrapper.
            keys: The master keys.
            plain: Whether values that are not encrypted are read as they are.
            clock: Source of time; by default the machine's.
        """
        super().__init__(inner)
        self.maintain = self._maintain
        self._upkeep = ErasureUpkeep(inner, self, keys, clock or SystemClock())
        self._given = keys
        self._keys = DataKeys(inner, keys)
        self._values = Values(self._keys, scheme=inner.scheme, plain=plain)

    async def __aenter__(self) -> Self:
        # Keys that cannot be read are told at the start, not by the first write.
        await self._given.fresh()
        return await super().__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            await self._upkeep.close()
        finally:
            await super().__aexit__(exc_type, exc, traceback)

    async def _maintain(self) -> None:
        offered: object = self.inner
        if isinstance(offered, SupportsMaintenance):
            await offered.maintain()
        await self._upkeep.look()

    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        """Read entries and decrypt their values; see `KeyValueStore.get_many`."""
        entries = await self.inner.get_many(namespace, keys)
        return await self._opened(namespace, keys, entries)

    async def scan(
        self, namespace: str, ranges: Sequence[KeyRange], *, limit: int
    ) -> list[list[tuple[bytes, Entry]]]:
        """Read key ranges and decrypt their values; see `KeyValueStore.scan`."""
        pages = await self.inner.scan(namespace, ranges, limit=limit)
        opened = iter(
            await self._values.opened(namespace, [Found(*one) for page in pages for one in page])
        )
        return [[(key, next(opened)) for key, _ in page] for page in pages]

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        """Encrypt values and commit; see `KeyValueStore.commit`."""
        writing = {each.namespace for each in commits if any(one.value for one in each.writes)}
        keys = {namespace: await self._keys.for_writing(namespace) for namespace in writing}
        values = [one.value for each in commits for one in each.writes if one.value]
        sealed = await at_values(lambda: [_sealed(each, keys) for each in commits], values)
        results = await self.inner.commit(sealed, owner=owner, lease=lease)
        return [
            await self._result(each.namespace, result)
            for each, result in zip(commits, results, strict=True)
        ]

    async def _result(self, namespace: str, result: CommitResult) -> CommitResult:
        if isinstance(result, Committed):
            return result
        current = result.current
        try:
            opened = await self._opened(namespace, list(current), list(current.values()))
        except (EncryptionKeyError, CorruptDataError):
            # Other commits of the call have happened, and their callers are to know. Whoever
            # reads this entry meets a value that is encrypted, and tells so.
            return result
        return Conflict(current=dict(zip(current, opened, strict=True)))

    async def _opened(
        self, namespace: str, keys: Sequence[bytes], entries: Sequence[Entry | None]
    ) -> list[Entry | None]:
        there = [
            Found(key, entry) for key, entry in zip(keys, entries, strict=True) if entry is not None
        ]
        opened = iter(await self._values.opened(namespace, there))
        return [None if entry is None else next(opened) for entry in entries]


def _sealed(commit: Commit, keys: Mapping[str, DataKey]) -> Commit:
    key = keys.get(commit.namespace)
    if key is None:
        return commit
    writes = tuple(_sealed_write(commit.namespace, key, write) for write in commit.writes)
    return replace(commit, writes=writes)


def _sealed_write(namespace: str, key: DataKey, write: Write) -> Write:
    if not write.value:
        return write
    place = Place(namespace=namespace, key=write.key, version=write.version)
    return Write(write.key, key.seal(place, write.value), write.version)
