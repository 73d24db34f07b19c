"""Carrying out commits in one transaction and two round trips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import psycopg

from sfm_backend_postgres._client import NotRepeatableError
from sfm_backend_postgres._commits import Changes, Place, places_expected, stripes
from sfm_backend_postgres._errors import is_lost
from sfm_backend_postgres._statements import statements
from sfm_backend_postgres._types import Connection
from sfm_core.protocols.kv import Commit, CommitResult, Entry

_TRUTH = statements("truth")
_OUTBOX = statements("outbox")
_EVENTS = statements("events")
_LOCK_MILLISECONDS = "10000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Transaction:
    """What `KeyValueStore.commit` was asked for.

    Attributes:
        commits: What to do.
        owner: Who holds the notes.
        lease: For how long.
    """

    commits: Sequence[Commit]
    owner: str
    lease: timedelta

    async def run(self, connection: Connection) -> list[CommitResult]:
        """Carry out the commits.

        The first round trip waits for other commits of the same keys and reads
        what is expected; the second writes and commits. So losing the
        connection in the first is no reason to tell the caller.

        Args:
            connection: A connection outside of a transaction.

        Returns:
            One result per commit.

        Raises:
            NotRepeatableError: The connection was lost in the second round trip.
        """
        writing = False
        try:
            # The transaction is the inner one, so that its COMMIT travels with the writes.
            async with connection.pipeline(), connection.transaction():
                current = await self._lock_and_read(connection)
                changes = Changes.decide(self.commits, current)
                writing = True
                notes = await self._write(connection, changes)
            ids = [] if notes is None else sorted(row[0] for row in await notes.fetchall())
        except psycopg.Error as error:
            if writing and is_lost(error):
                raise NotRepeatableError(error) from error
            raise
        return changes.results(ids)

    async def _lock_and_read(self, connection: Connection) -> dict[Place, Entry]:
        await connection.execute(_TRUTH["limit_waiting"], {"milliseconds": _LOCK_MILLISECONDS})
        # Only a statement that begins when the locks are held sees what their last
        # holders committed; so reading is a statement of its own.
        cursor = await connection.execute(
            _TRUTH["lock_keys"], {"stripes": stripes(self.commits)}, binary=True
        )
        places = places_expected(self.commits)
        if places:
            cursor = await connection.execute(
                _TRUTH["read_expected"], _columns(places), binary=True
            )
        rows = await cursor.fetchall()
        if not places:
            return {}
        return {(namespace, key): Entry(value, version) for namespace, key, value, version in rows}

    async def _write(
        self, connection: Connection, changes: Changes
    ) -> psycopg.AsyncCursor[tuple[int]] | None:
        if changes.namespaces:
            names = {"namespaces": sorted(changes.namespaces)}
            await connection.execute(_TRUTH["use_namespaces"], names)
        if removals := changes.removals():
            await connection.execute(_TRUTH["remove"], _columns(removals))
        if puts := changes.puts():
            await connection.execute(
                _TRUTH["put"],
                _columns([place for place, _, _ in puts])
                | {"values": [value for _, value, _ in puts]}
                | {"versions": [version for _, _, version in puts]},
            )
        await _count(connection, changes)
        await _log(connection, changes)
        if not changes.notes:
            return None
        return await connection.execute(
            _OUTBOX["note"],
            _columns(changes.notes) | {"owner": self.owner, "lease": self.lease},
            binary=True,
        )


async def _count(connection: Connection, changes: Changes) -> None:
    if changes.counts:
        await connection.execute(
            _TRUTH["count"],
            {
                "namespaces": [namespace for namespace, _ in changes.counts],
                "names": [name for _, name in changes.counts],
                "amounts": list(changes.counts.values()),
            },
        )


async def _log(connection: Connection, changes: Changes) -> None:
    if changes.events:
        await connection.execute(
            _EVENTS["log"],
            {
                "namespaces": [namespace for namespace, _ in changes.events],
                "types": [note.type.value for _, note in changes.events],
                "keys": [note.key for _, note in changes.events],
                "versions": [note.version for _, note in changes.events],
                "times": [note.at for _, note in changes.events],
            },
        )


def _columns(places: Sequence[Place]) -> dict[str, object]:
    return {
        "namespaces": [namespace for namespace, _ in places],
        "keys": [key for _, key in places],
    }
