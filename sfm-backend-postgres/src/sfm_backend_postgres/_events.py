"""The event log in the database."""

from __future__ import annotations

from datetime import UTC

from sfm_backend_postgres._port import PostgresPort
from sfm_backend_postgres._statements import statements
from sfm_backend_postgres._types import Connection
from sfm_core.model.events import EVENT_TYPES, START, EventNote, LoggedEvent, Position
from sfm_core.porting import check_limit, position_number
from sfm_core.protocols import MAX_BATCH

_SQL = statements("events")


class PostgresEventLog(PostgresPort):
    """The part of the key-value store that tells what happened."""

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
        wanted = {"after": position_number(after), "limit": limit}
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
                    type=EVENT_TYPES[kind], key=key, version=version, at=at.astimezone(UTC)
                ),
            )
            for position, namespace, kind, key, version, at in rows
        ]

    async def count_events(self, *, after: Position, limit: int) -> int:
        """Tell how many events follow a position, those that have none yet included.

        Raises:
            InvalidInputError: The position is not one of this store.
            LimitExceededError: The limit is out of bounds.
            BackendError: The database was not reached.
        """
        check_limit(limit)
        [(counted,)] = await self._database.fetch(
            _SQL["count_events"], {"after": position_number(after), "limit": limit}
        )
        return int(counted)

    async def end_of_events(self) -> Position:
        """Tell where the log ends, once every visible event has its position.

        Raises:
            BackendError: The database was not reached or could not be written to.
        """
        database = self._database
        while (await database.fetch(_SQL["any_arrived"], {}))[0][0]:
            await database.run(_give_positions)
        [(end,)] = await database.fetch(_SQL["end_of_events"], {})
        return Position(str(end)) if end else START

    async def any_trimmed(self, *, after: Position) -> bool:
        """Tell whether events after a position are gone.

        Raises:
            InvalidInputError: The position is not one of this store.
            BackendError: The database was not reached.
        """
        number = position_number(after)
        [(trimmed,)] = await self._database.fetch(_SQL["trimmed"], {})
        return number < int(trimmed)

    async def trim_events(self, *, through: Position) -> int:
        """Remove events from the start of the log.

        Raises:
            InvalidInputError: The position is not one of this store.
            BackendError: The database was not reached or could not be written to.
        """
        [(removed,)] = await self._database.fetch(
            _SQL["trim_events"], {"through": position_number(through)}
        )
        return int(removed)


async def _give_positions(connection: Connection) -> None:
    async with connection.pipeline(), connection.transaction():
        await connection.execute(_SQL["lock_head"])
        await connection.execute(_SQL["give_positions"], {"limit": MAX_BATCH})
