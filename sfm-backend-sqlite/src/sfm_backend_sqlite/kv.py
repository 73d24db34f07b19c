"""The truth in an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from sfm_backend_sqlite._commits import Lease, Transaction
from sfm_backend_sqlite._database import SqliteDatabase
from sfm_backend_sqlite._entries import read_entries
from sfm_backend_sqlite._namespaces import Namespaces
from sfm_backend_sqlite._outbox import SqliteOutbox
from sfm_core.clock import Clock
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import KeyRange
from sfm_core.porting import check_batch, check_keys, check_limit, to_microseconds
from sfm_core.protocols.kv import Commit, CommitResult, Entry

_Row = tuple[bytes, bytes, int]


class SqliteKeyValueStore(SqliteOutbox):
    """Holds every memory and every link in one file, safe for many processes at once."""

    def __init__(self, database: SqliteDatabase, clock: Clock) -> None:
        super().__init__(database, clock)
        self._namespaces = Namespaces()

    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        """Read many entries; see `KeyValueStore.get_many`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` keys.
            BackendError: The file could not be read.
        """
        check_batch(len(keys), "keys")
        database = self._database
        return await database.read(lambda c: self._get(c, namespace, keys)) if keys else []

    async def scan(
        self, namespace: str, ranges: Sequence[KeyRange], *, limit: int
    ) -> list[list[tuple[bytes, Entry]]]:
        """Read the first entries of many key ranges; see `KeyValueStore.scan`.

        Raises:
            LimitExceededError: Too many ranges, or a limit out of bounds.
            BackendError: The file could not be read.
        """
        check_batch(len(ranges), "ranges")
        check_limit(limit)
        database = self._database
        return await database.read(lambda c: self._scan(c, namespace, ranges, limit))

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        """Carry out many commits in one transaction; see `KeyValueStore.commit`.

        Raises:
            LimitExceededError: Too many commits, or a key over `MAX_KEY_BYTES`; nothing happened.
            BackendUnavailableError: Other processes held the file too long; nothing happened.
            StorageFullError: No room; nothing happened.
            ReadOnlyStorageError: The file cannot be written to; nothing happened.
        """
        check_batch(len(commits), "commits")
        for commit in commits:
            check_keys(commit)
        database = self._database
        if not commits:
            return []

        def work(connection: sqlite3.Connection) -> list[CommitResult]:
            # The lease starts here, not when the call was made: waiting for
            # other processes must not eat it up.
            now = self._clock.now()
            held = Lease(owner=owner, now=to_microseconds(now), until=to_microseconds(now + lease))
            return Transaction(connection, held).run(commits)

        return await database.write(work, durable=True)

    async def counters(self, namespace: str) -> dict[str, int]:
        """Read the counters of a namespace.

        Raises:
            BackendError: The file could not be read.
        """
        rows = await self._database.read(
            lambda connection: connection.execute(
                "SELECT counter.name, amount FROM counter "
                "JOIN namespace ON namespace.id = counter.namespace WHERE namespace.name = ?",
                (namespace,),
            ).fetchall()
        )
        return dict(rows)

    async def namespaces(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """List the namespaces that hold or held an entry, by code point.

        Raises:
            BackendError: The file could not be read.
        """
        rows: list[tuple[str]] = await self._database.read(
            lambda connection: connection.execute(
                "SELECT name FROM namespace WHERE used AND name > ? ORDER BY name LIMIT ?",
                (after, limit),
            ).fetchall()
        )
        return [name for (name,) in rows]

    async def scrub(self, places: Mapping[str, Sequence[Coordinate]]) -> str:
        """Rewrite the file without what was removed or replaced; see `SupportsScrubbing.scrub`.

        Raises:
            BackendUnavailableError: Others use the file; a later call does it.
            StorageFullError: There is no room for the file a second time.
            BackendError: The file could not be written to.
        """
        del places
        await self._database.rewrite()
        return ""

    def _get(
        self, connection: sqlite3.Connection, namespace: str, keys: Sequence[bytes]
    ) -> list[Entry | None]:
        number = self._namespaces.find(connection, namespace)
        if number is None:
            return [None] * len(keys)
        found = read_entries(connection, number, keys)
        return [found.get(key) for key in keys]

    def _scan(
        self, connection: sqlite3.Connection, namespace: str, ranges: Sequence[KeyRange], limit: int
    ) -> list[list[tuple[bytes, Entry]]]:
        number = self._namespaces.find(connection, namespace)
        if number is None:
            return [[] for _ in ranges]
        return [_scan_range(connection, number, each, limit) for each in ranges]


def _scan_range(
    connection: sqlite3.Connection, number: int, wanted: KeyRange, limit: int
) -> list[tuple[bytes, Entry]]:
    bounds: tuple[int | bytes, ...] = (number, wanted.start)
    condition = "namespace = ? AND key >= ?"
    if wanted.end is not None:
        bounds += (wanted.end,)
        condition += " AND key < ?"
    direction = "DESC" if wanted.reverse else "ASC"
    rows: Iterable[_Row] = connection.execute(
        f"SELECT key, value, version FROM entry WHERE {condition} "  # noqa: S608  # nosec B608 - no input in it
        f"ORDER BY key {direction} LIMIT ?",
        (*bounds, limit),
    )
    return [(key, Entry(value, version)) for key, value, version in rows]
