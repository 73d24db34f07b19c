"""The outbox and the event log in the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import timedelta

from sfm_backend_sqlite._port import SqlitePort
from sfm_core.model.events import EVENT_TYPES, START, EventNote, LoggedEvent, Position
from sfm_core.porting import (
    check_batch,
    check_limit,
    from_microseconds,
    position_number,
    to_microseconds,
)
from sfm_core.protocols.kv import DirtyNote, OutboxStatus

_CLAIM = (
    "UPDATE outbox SET owner = ?, free_at = ? WHERE id IN "
    "(SELECT id FROM outbox WHERE free_at <= ? ORDER BY id LIMIT ?) "
    "RETURNING id, (SELECT name FROM namespace WHERE namespace.id = outbox.namespace), "
    "key, attempts"
)
_CHUNK = 64
_OUTSTANDING = f"SELECT id FROM outbox WHERE id IN ({', '.join('?' * _CHUNK)})"  # noqa: S608  # nosec B608 - no input in it
_LARGEST = 2**63 - 1
_LONG = 20
_RELEASE = (
    "UPDATE outbox SET owner = '', free_at = ?, attempts = attempts + 1 WHERE id = ? AND owner = ?"
)
_EVENTS = (
    "SELECT position, namespace.name, type, key, version, at FROM event "
    "JOIN namespace ON namespace.id = event.namespace "
    "WHERE position > ? ORDER BY position LIMIT ?"
)

_COUNT_EVENTS = "SELECT count(*) FROM (SELECT 1 FROM event WHERE position > ? LIMIT ?)"

# Numbers of the log follow one another without a gap: one writer at a time gives them out.
_END = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)"
_TRIMMED = (
    "SELECT coalesce((SELECT min(position) - 1 FROM event), "
    "(SELECT seq FROM sqlite_sequence WHERE name = 'event'), 0)"
)


class SqliteOutbox(SqlitePort):
    """The part of the key-value store that tells others what changed."""

    async def claim(self, *, owner: str, limit: int, lease: timedelta) -> list[DirtyNote]:
        """Take over notes that nobody holds; see `KeyValueStore.claim`.

        Raises:
            BackendError: The file could not be written to.
        """
        database = self._database
        now = to_microseconds(self._clock.now())
        # Most sweeps find nothing, and should not keep others from writing.
        if not await database.read(lambda connection: _any_free(connection, now)):
            return []

        def work(connection: sqlite3.Connection) -> list[tuple[int, str, bytes, int]]:
            moment = self._clock.now()
            until = to_microseconds(moment + lease)
            return connection.execute(
                _CLAIM, (owner, until, to_microseconds(moment), limit)
            ).fetchall()

        # Durable or not, a lost claim only lets the note be claimed again.
        rows = await database.write(work)
        return [
            DirtyNote(id=str(number), namespace=namespace, key=key, attempts=attempts)
            for number, namespace, key, attempts in sorted(rows)
        ]

    async def acknowledge(self, notes: Sequence[DirtyNote]) -> None:
        """Remove notes whose work is done.

        Raises:
            LimitExceededError: More than `MAX_BATCH` notes.
            BackendError: The file could not be written to.
        """
        check_batch(len(notes), "notes")
        numbers = _numbers(notes)
        database = self._database
        if numbers:
            await database.write_many("DELETE FROM outbox WHERE id = ?", numbers)

    async def release(self, notes: Sequence[DirtyNote], *, owner: str, delay: timedelta) -> None:
        """Give notes back whose work failed, where `owner` still holds them.

        Raises:
            LimitExceededError: More than `MAX_BATCH` notes.
            BackendError: The file could not be written to.
        """
        check_batch(len(notes), "notes")
        free_at = to_microseconds(self._clock.now() + delay)
        numbers = [(free_at, number, owner) for (number,) in _numbers(notes)]
        database = self._database
        if numbers:
            await database.write_many(_RELEASE, numbers)

    async def outstanding(self, ids: Sequence[str]) -> list[bool]:
        """Tell which notes are still in the outbox; see `KeyValueStore.outstanding`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` ids.
            BackendError: The file could not be read.
        """
        check_batch(len(ids), "ids")
        numbers = _known(ids)
        database = self._database
        if not numbers:
            return [False] * len(ids)
        found = await database.read(lambda connection: _outstanding(connection, numbers))
        return [one in found for one in ids]

    async def outbox_status(self) -> OutboxStatus:
        """Tell how many notes wait and since when.

        Raises:
            BackendError: The file could not be read.
        """
        depth, oldest = await self._database.read(
            lambda connection: connection.execute(
                "SELECT count(*), min(committed_at) FROM outbox"
            ).fetchone()
        )
        return OutboxStatus(
            depth=depth, oldest_at=None if oldest is None else from_microseconds(oldest)
        )

    async def read_events(self, *, after: Position, limit: int) -> list[LoggedEvent]:
        """Read the event log onwards from a position.

        Raises:
            InvalidInputError: The position is not one of this store.
            BackendError: The file could not be read.
        """
        number = position_number(after)
        rows: list[tuple[int, str, str, bytes, int, int]] = await self._database.read(
            lambda connection: connection.execute(_EVENTS, (number, limit)).fetchall()
        )
        return [
            LoggedEvent(
                position=Position(str(position)),
                namespace=namespace,
                note=EventNote(
                    type=EVENT_TYPES[kind], key=key, version=version, at=from_microseconds(at)
                ),
            )
            for position, namespace, kind, key, version, at in rows
        ]

    async def count_events(self, *, after: Position, limit: int) -> int:
        """Tell how many events follow a position, as far as the limit.

        Raises:
            InvalidInputError: The position is not one of this store.
            LimitExceededError: The limit is out of bounds.
            BackendError: The file could not be read.
        """
        check_limit(limit)
        number = position_number(after)
        counted: tuple[int] = await self._database.read(
            lambda connection: connection.execute(_COUNT_EVENTS, (number, limit)).fetchone()
        )
        return counted[0]

    async def end_of_events(self) -> Position:
        """Tell where the log ends.

        Raises:
            BackendError: The file could not be read.
        """
        end = await self._database.read(lambda connection: _number(connection, _END))
        return Position(str(end)) if end else START

    async def any_trimmed(self, *, after: Position) -> bool:
        """Tell whether events after a position are gone.

        Raises:
            InvalidInputError: The position is not one of this store.
            BackendError: The file could not be read.
        """
        number = position_number(after)
        trimmed = await self._database.read(lambda connection: _number(connection, _TRIMMED))
        return number < trimmed

    async def trim_events(self, *, through: Position) -> int:
        """Remove events from the start of the log.

        Raises:
            InvalidInputError: The position is not one of this store.
            BackendError: The file could not be written to.
        """
        number = position_number(through)
        return await self._database.write(
            lambda connection: (
                connection.execute("DELETE FROM event WHERE position <= ?", (number,)).rowcount
            )
        )


def _number(connection: sqlite3.Connection, query: str) -> int:
    [number] = connection.execute(query).fetchone()
    return int(number)


def _any_free(connection: sqlite3.Connection, now: int) -> bool:
    row = connection.execute("SELECT 1 FROM outbox WHERE free_at <= ? LIMIT 1", (now,)).fetchone()
    return row is not None


def _outstanding(connection: sqlite3.Connection, numbers: Sequence[int]) -> set[str]:
    found: set[str] = set()
    for start in range(0, len(numbers), _CHUNK):
        chunk = numbers[start : start + _CHUNK]
        padding = (chunk[-1],) * (_CHUNK - len(chunk))
        rows = connection.execute(_OUTSTANDING, (*chunk, *padding))
        found.update(str(number) for (number,) in rows)
    return found


def _numbers(notes: Sequence[DirtyNote]) -> list[tuple[int]]:
    return [(number,) for number in _known([note.id for note in notes])]


def _known(ids: Sequence[str]) -> list[int]:
    # What another kind of store called a note is unknown here, and ignored as such.
    numbers = (int(one) for one in ids if one.isascii() and one.isdecimal() and len(one) < _LONG)
    return [number for number in numbers if number <= _LARGEST]
