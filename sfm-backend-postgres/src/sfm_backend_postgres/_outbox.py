"""The outbox and the event log in the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, timedelta

from sfm_backend_postgres._port import PostgresPort, check_batch, check_limit
from sfm_backend_postgres._statements import statements
from sfm_backend_postgres._types import Connection
from sfm_core.errors import InvalidInputError
from sfm_core.model.events import START, EventNote, EventType, LoggedEvent, Position
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.kv import DirtyNote, OutboxStatus

_SQL = statements("outbox")
_LARGEST = 2**63 - 1


class PostgresOutbox(PostgresPort):
    """The part of the key-value store that tells others what changed."""

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

    async def outbox_status(self) -> OutboxStatus:
        """Tell how many notes wait and since when.

        Raises:
            BackendError: The database was not reached.
        """
        [(depth, oldest)] = await self._database.fetch(_SQL["outbox_status"], {})
        return OutboxStatus(
            depth=depth, oldest_at=None if oldest is None else oldest.astimezone(UTC)
        )

    async def read_events(self, *, after: Position, limit: int) -> list[LoggedEvent]:
        """Read the event log onwards from a position.

        Events get their positions here, when they are visible: so none can
        become visible before one that was read.

        Raises:
            InvalidInputError: The position is not one of this store.
            LimitExceededError: The limit is out of bounds.
            BackendError: The database was not reached or could not be written to.
        """
        check_limit(limit)
        wanted = {"after": _position(after), "limit": limit}
        database = self._database
        rows = await database.fetch(_SQL["read_events"], wanted)
        if len(rows) < limit:
            [(arrived,)] = await database.fetch(_SQL["any_arrived"], {})
            if arrived:
                await database.run(_give_positions)
            # Also where none had arrived: another reader may have been faster.
            rows = await database.fetch(_SQL["read_events"], wanted)
        return [
            LoggedEvent(
                position=Position(str(position)),
                namespace=namespace,
                note=EventNote(
                    type=EventType(kind), key=key, version=version, at=at.astimezone(UTC)
                ),
            )
            for position, namespace, kind, key, version, at in rows
        ]

    async def trim_events(self, *, through: Position) -> int:
        """Remove events from the start of the log.

        Raises:
            InvalidInputError: The position is not one of this store.
            BackendError: The database was not reached or could not be written to.
        """
        [(removed,)] = await self._database.fetch(
            _SQL["trim_events"], {"through": _position(through)}
        )
        return int(removed)


async def _give_positions(connection: Connection) -> None:
    async with connection.pipeline(), connection.transaction():
        await connection.execute(_SQL["lock_head"])
        await connection.execute(_SQL["give_positions"], {"limit": MAX_BATCH})


def _ids(notes: Sequence[DirtyNote]) -> list[int]:
    # What another kind of store called a note is unknown here, and ignored as such.
    numbers = (int(note.id) for note in notes if note.id.isascii() and note.id.isdecimal())
    return [number for number in numbers if number <= _LARGEST]


def _position(position: Position) -> int:
    if position == START:
        return 0
    number = int(position) if position.isascii() and position.isdecimal() else -1
    if not 0 <= number <= _LARGEST:
        raise InvalidInputError(
            f"{position!r} is not a position of this event log.",
            field="position",
            remedy="Use a position that this store returned, or START.",
        )
    return number
