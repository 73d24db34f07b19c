"""The truth in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from sfm_backend_postgres._outbox import PostgresOutbox
from sfm_backend_postgres._packing import pack_bytes, pack_integers
from sfm_backend_postgres._scrubbing import clear_away
from sfm_backend_postgres._statements import statements
from sfm_backend_postgres._transaction import Transaction
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import KeyRange
from sfm_core.porting import check_batch, check_keys, check_limit
from sfm_core.protocols.kv import MAX_KEY_BYTES, Commit, CommitResult, Entry

_SQL = statements("truth")
_VACUUM = b"VACUUM sfm.entry"
# Comes after every key; a bound that may be absent could not be found by the index.
_AFTER_ALL = b"\xff" * (MAX_KEY_BYTES + 1)


class PostgresKeyValueStore(PostgresOutbox):
    """Entries, counters, outbox and event log in one database."""

    async def get_many(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        """Read many entries; see `KeyValueStore.get_many`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` keys.
            BackendError: The database was not reached.
        """
        check_batch(len(keys), "keys")
        database = self._database
        if not keys:
            return []
        rows = await database.fetch(
            _SQL["get_many"],
            {"namespace": namespace, "keys": pack_bytes(list(dict.fromkeys(keys)))},
        )
        found = {key: Entry(value, version) for key, value, version in rows}
        return [found.get(key) for key in keys]

    async def scan(
        self, namespace: str, ranges: Sequence[KeyRange], *, limit: int
    ) -> list[list[tuple[bytes, Entry]]]:
        """Read the first entries of many key ranges; see `KeyValueStore.scan`.

        Raises:
            LimitExceededError: Too many ranges, or a limit out of bounds.
            BackendError: The database was not reached.
        """
        check_batch(len(ranges), "ranges")
        check_limit(limit)
        database = self._database
        found = [list[tuple[bytes, Entry]]() for _ in ranges]
        for reverse, name in ((False, "scan_forward"), (True, "scan_backward")):
            places = [place for place, wanted in enumerate(ranges) if wanted.reverse is reverse]
            if not places:
                continue
            rows: list[tuple[int, bytes, bytes, int]] = await database.fetch(
                _SQL[name],
                {
                    "namespace": namespace,
                    "limit": limit,
                    "places": pack_integers(places),
                    "starts": pack_bytes([ranges[place].start for place in places]),
                    "ends": pack_bytes([_end(ranges[place]) for place in places]),
                },
            )
            for place, key, value, version in rows:
                found[place].append((key, Entry(value, version)))
            for place in places:
                found[place].sort(key=lambda pair: pair[0], reverse=reverse)
        return found

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        """Carry out commits in one transaction; see `KeyValueStore.commit`.

        Raises:
            LimitExceededError: Too many commits, or a key that is too long; nothing happened.
            BackendUnavailableError: The server was not reached or too busy; any
                of the commits may have happened.
            BackendError: They were refused; none happened.
        """
        check_batch(len(commits), "commits")
        for commit in commits:
            check_keys(commit)
        database = self._database
        if not commits:
            return []
        results = await database.run(Transaction(commits=commits, owner=owner, lease=lease).run)
        # Notes without a lease are for others, as events are.
        if any(commit.events or (commit.dirty and not lease) for commit in commits):
            database.announcer.announce()
        return results

    async def counters(self, namespace: str) -> dict[str, int]:
        """Read the counters of a namespace; see `KeyValueStore.counters`.

        Raises:
            BackendError: The database was not reached.
        """
        return dict(await self._database.fetch(_SQL["counters"], {"namespace": namespace}))

    async def namespaces(self, *, after: str = "", limit: int = 1000) -> list[str]:
        """List the namespaces that hold or held an entry, by code point.

        Raises:
            LimitExceededError: The limit is out of bounds.
            BackendError: The database was not reached.
        """
        check_limit(limit)
        rows = await self._database.fetch(_SQL["namespaces"], {"after": after, "limit": limit})
        return [name for (name,) in rows]

    async def wait_for_work(self) -> None:
        """Wait until another process tells of work; see `SupportsWaking.wait_for_work`.

        Raises:
            UnsupportedError: A pooler is in between, or it was switched off.
            BackendUnavailableError: The connection was lost.
        """
        await self._database.listener.wait()

    async def scrub(self, places: Mapping[str, Sequence[Coordinate]]) -> str:
        """Clear away dead rows; see `SupportsScrubbing.scrub`.

        Raises:
            BackendError: The database was not reached.
        """
        del places
        return await clear_away(self._database, _VACUUM)

    async def maintain(self) -> None:
        """Fold what commits added to each counter into one row.

        Raises:
            BackendError: The database was not reached or could not be written
                to; the counters are right all the same.
        """
        await self._database.fetch(_SQL["fold_counters"], {})


def _end(wanted: KeyRange) -> bytes:
    return _AFTER_ALL if wanted.end is None else wanted.end
