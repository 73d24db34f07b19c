"""What the tests of this backend share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import psycopg

from sfm_backend_postgres._client import PostgresDatabase
from sfm_backend_postgres.graph import PostgresGraphStore
from sfm_backend_postgres.kv import PostgresKeyValueStore
from sfm_backend_postgres.plugin import create_graph, create_kv, create_vector
from sfm_backend_postgres.settings import PostgresSettings
from sfm_backend_postgres.vector import PostgresVectorStore
from sfm_core.model.events import LoggedEvent
from sfm_core.protocols.kv import Commit, CommitResult, DirtyNote
from sfm_core.registry import BackendContext
from sfm_core.testing.clock import ManualClock

LEASE = timedelta(seconds=30)


def open_kv(url: str) -> PostgresKeyValueStore:
    """Make a store with a context and a pool of its own, as another process would."""
    return create_kv(url, BackendContext(data_folder=Path()))


def open_graph(url: str) -> PostgresGraphStore:
    """Make a graph store with a context and a pool of its own."""
    return create_graph(url, BackendContext(data_folder=Path()))


def open_vector(url: str) -> PostgresVectorStore:
    """Make a vector store with a context and a pool of its own."""
    return create_vector(url, BackendContext(data_folder=Path()))


async def commit(store: PostgresKeyValueStore, *commits: Commit) -> list[CommitResult]:
    """Commit with the usual lease."""
    return await store.commit(commits, owner="o", lease=LEASE)


class TimedKeyValueStore(PostgresKeyValueStore):
    """A store whose server takes the time from a clock of the test.

    The schema asks its own function for the time; here it reads a table,
    which is set before each call that depends on it.
    """

    def __init__(self, url: str, clock: ManualClock) -> None:
        super().__init__(PostgresDatabase(PostgresSettings.parse(url, {})))
        self._test_clock = clock

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        """Set the time and commit."""
        await self._set_time()
        return await super().commit(commits, owner=owner, lease=lease)

    async def claim(self, *, owner: str, limit: int, lease: timedelta) -> list[DirtyNote]:
        """Set the time and claim."""
        await self._set_time()
        return await super().claim(owner=owner, limit=limit, lease=lease)

    async def release(self, notes: Sequence[DirtyNote], *, owner: str, delay: timedelta) -> None:
        """Set the time and release."""
        await self._set_time()
        await super().release(notes, owner=owner, delay=delay)

    async def _set_time(self) -> None:
        now = {"now": self._test_clock.now()}
        await self._database.fetch(b"UPDATE test_clock SET at = %(now)s", now)


def take_time_from_a_table(url: str) -> None:
    """Let the server of a migrated database take the time from the table `test_clock`."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE test_clock (at timestamptz)")
        connection.execute("INSERT INTO test_clock VALUES (now())")
        connection.execute(
            "CREATE OR REPLACE FUNCTION sfm.now() RETURNS timestamptz "
            "LANGUAGE sql VOLATILE AS 'SELECT at FROM public.test_clock'"
        )


def keys_of(events: Sequence[LoggedEvent]) -> list[bytes]:
    """Return the keys of events, in order."""
    return [event.note.key for event in events]
