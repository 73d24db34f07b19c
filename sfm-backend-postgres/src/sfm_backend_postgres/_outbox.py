"""The outbox in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta

from sfm_backend_postgres._events import PostgresEventLog
from sfm_backend_postgres._statements import statements
from sfm_core.porting import check_batch, check_limit
from sfm_core.protocols.kv import DirtyNote, OutboxStatus

_SQL = statements("outbox")
_LARGEST = 2**63 - 1
_LONG = 20


class PostgresOutbox(PostgresEventLog):
    """The part of the key-value store that tells others what to follow."""

    async def claim(self, *, owner: str, limit: int, lease: timedelta) -> list[DirtyNote]:
        """Take over notes that nobody holds; see `KeyValueStore.claim`.

        Raises:
            LimitExceededError: The limit is out of bounds.
            BackendError: The database was not reached or could not be written to.
        """
        check_limit(limit)
        rows = await self._database.fetch(
            _SQL["claim"], {"owner": owner, "limit": limit, "lease": lease}
        )
        return [
            DirtyNote(id=str(number), namespace=namespace, key=key, attempts=attempts)
            for number, namespace, key, attempts in sorted(rows)
        ]

    async def acknowledge(self, notes: Sequence[DirtyNote]) -> None:
        """Remove notes whose work is done.

        Raises:
            LimitExceededError: More than `MAX_BATCH` notes.
            BackendError: The database was not reached or could not be written to.
        """
        check_batch(len(notes), "notes")
        ids = _ids(notes)
        database = self._database
        if ids:
            await database.fetch(_SQL["acknowledge"], {"ids": ids})

    async def release(self, notes: Sequence[DirtyNote], *, owner: str, delay: timedelta) -> None:
        """Give notes back whose work failed, where `owner` still holds them.

        Raises:
            LimitExceededError: More than `MAX_BATCH` notes.
            BackendError: The database was not reached or could not be written to.
        """
        check_batch(len(notes), "notes")
        ids = _ids(notes)
        database = self._database
        if ids:
            await database.fetch(_SQL["release"], {"ids": ids, "owner": owner, "delay": delay})
            database.announcer.announce(after=delay)

    async def outstanding(self, ids: Sequence[str]) -> list[bool]:
        """Tell which notes are still in the outbox; see `KeyValueStore.outstanding`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` ids.
            BackendError: The database was not reached.
        """
        check_batch(len(ids), "ids")
        numbers = _known(ids)
        database = self._database
        rows = await database.fetch(_SQL["outstanding"], {"ids": numbers}) if numbers else []
        found = {str(number) for (number,) in rows}
        return [one in found for one in ids]

    async def outbox_status(self) -> OutboxStatus:
        """Tell how many notes wait and since when.

        Raises:
            BackendError: The database was not reached.
        """
        [(depth, oldest)] = await self._database.fetch(_SQL["outbox_status"], {})
        return OutboxStatus(
            depth=depth, oldest_at=None if oldest is None else oldest.astimezone(UTC)
        )


def _ids(notes: Sequence[DirtyNote]) -> list[int]:
    return _known([note.id for note in notes])


def _known(ids: Sequence[str]) -> list[int]:
    # What another kind of store called a note is unknown here, and ignored as such.
    numbers = (int(one) for one in ids if one.isascii() and one.isdecimal() and len(one) < _LONG)
    return [number for number in numbers if number <= _LARGEST]
