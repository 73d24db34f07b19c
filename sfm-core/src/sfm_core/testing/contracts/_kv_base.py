"""What the parts of the key-value contract share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from typing import ClassVar

import pytest_asyncio

from sfm_core.model.events import START, EventNote, LoggedEvent
from sfm_core.model.keys import KeyRange
from sfm_core.protocols.kv import Commit, Committed, DirtyNote, Entry, KeyValueStore, Write
from sfm_core.testing.contracts._base import BackendContract, Operation

OWNER = "kit"
EVERYTHING = KeyRange(b"", None)


class KeyValueTests(BackendContract[KeyValueStore]):
    """Fixtures and shorthands for tests of a key-value store.

    Attributes:
        lease: Lease that the tests take; short where `clock` really waits.
    """

    lease: ClassVar[timedelta] = timedelta(seconds=30)

    @property
    def long_lease(self) -> timedelta:
        """A lease that no test sees the end of, however slow the machine is."""
        return 100 * self.lease

    @pytest_asyncio.fixture
    async def store(self, make: Callable[[], KeyValueStore]) -> AsyncIterator[KeyValueStore]:
        """Return an open, empty store."""
        async with make() as store:
            yield store

    def operations(self, backend: KeyValueStore) -> Sequence[Operation]:
        """Return one small call of every method."""
        return (
            backend.ping,
            lambda: backend.get_many("n", [b"k"]),
            lambda: backend.scan("n", [EVERYTHING], limit=1),
            lambda: self.put(backend, "n", {b"k": b"v"}),
            lambda: backend.counters("n"),
            backend.namespaces,
            lambda: self.claim(backend),
            lambda: backend.acknowledge([]),
            lambda: backend.release([], owner=OWNER, delay=timedelta()),
            lambda: backend.outstanding([]),
            backend.outbox_status,
            lambda: backend.read_events(after=START, limit=1),
            lambda: backend.count_events(after=START, limit=1),
            backend.end_of_events,
            lambda: backend.any_trimmed(after=START),
            lambda: backend.trim_events(through=START),
        )

    async def put(
        self, store: KeyValueStore, namespace: str, values: Mapping[bytes, bytes], version: int = 1
    ) -> None:
        """Write values, in one commit without expectations."""
        writes = tuple(Write(key, value, version) for key, value in values.items())
        await self.commit(store, Commit(namespace=namespace, writes=writes))

    async def commit(
        self, store: KeyValueStore, commit: Commit, *, lease: timedelta | None = None
    ) -> Committed:
        """Carry out one commit that must not conflict."""
        [result] = await store.commit([commit], owner=OWNER, lease=lease or self.lease)
        assert isinstance(result, Committed)
        return result

    async def note(
        self,
        store: KeyValueStore,
        namespace: str,
        *keys: bytes,
        lease: timedelta | None = None,
    ) -> tuple[DirtyNote, ...]:
        """Commit notes for some keys and return them."""
        commit = Commit(namespace=namespace, dirty=keys)
        return (await self.commit(store, commit, lease=lease)).notes

    async def append(
        self, store: KeyValueStore, namespace: str, *notes: EventNote
    ) -> list[LoggedEvent]:
        """Commit events and return the whole log."""
        await self.commit(store, Commit(namespace=namespace, events=notes))
        return await store.read_events(after=START, limit=1000)

    async def claim(
        self,
        store: KeyValueStore,
        *,
        owner: str = "another",
        limit: int = 1000,
        lease: timedelta | None = None,
    ) -> list[DirtyNote]:
        """Claim notes under a long lease, unless a test waits for its end."""
        return await store.claim(owner=owner, limit=limit, lease=lease or self.long_lease)

    async def contents(self, store: KeyValueStore, namespace: str) -> list[tuple[bytes, Entry]]:
        """Return every entry of a namespace, in order."""
        [found] = await store.scan(namespace, [EVERYTHING], limit=10_000)
        return found
