"""The outbox and the event log of the truth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import cast

from sfm_backend_redis._port import RedisPort, microseconds
from sfm_core.errors import InvalidInputError
from sfm_core.model.events import EVENT_TYPES, START, EventNote, LoggedEvent, Position
from sfm_core.porting import check_batch, check_limit, from_microseconds
from sfm_core.protocols.kv import DirtyNote, OutboxStatus

_POSITION = re.compile(r"(\d{1,20})-(\d{1,20})", re.ASCII)
# The server does nothing else meanwhile: a thousand take it some milliseconds.
_COUNTED_AT_ONCE = 500
# The server takes twice as much, and refuses to begin after that.
_LARGEST = 2**63 - 1
_LogRow = tuple[bytes, dict[bytes, bytes]]


class RedisOutbox(RedisPort):
    """The part of the key-value store that tells others what changed."""

    async def claim(self, *, owner: str, limit: int, lease: timedelta) -> list[DirtyNote]:
        """Take over notes that nobody holds; see `KeyValueStore.claim`.

        Raises:
            BackendError: The server could not be reached, or refused.
        """
        keys = [self.key("notes"), self.key("leases"), self.key("free")]
        arguments = (owner, limit, microseconds(lease))
        # Durable or not, a lost claim only lets the note be claimed again.
        flat = cast(list[bytes], await self._client.run("claim", keys, arguments))
        return [
            DirtyNote(id=number.decode(), namespace=name.decode(), key=key, attempts=int(attempts))
            for number, name, key, attempts in zip(
                flat[::4], flat[1::4], flat[2::4], flat[3::4], strict=True
            )
        ]

    async def acknowledge(self, notes: Sequence[DirtyNote]) -> None:
        """Remove notes whose work is done.

        Raises:
            LimitExceededError: More than `MAX_BATCH` notes.
            BackendError: The server could not be reached, or refused.
        """
        check_batch(len(notes), "notes")
        keys = [self.key(part) for part in ("notes", "order", "leases", "free")]
        client = self._client
        if notes:
            await client.run("acknowledge", keys, [note.id for note in notes])

    async def release(self, notes: Sequence[DirtyNote], *, owner: str, delay: timedelta) -> None:
        """Give notes back whose work failed, where `owner` still holds them.

        Raises:
            LimitExceededError: More than `MAX_BATCH` notes.
            BackendError: The server could not be reached, or refused.
        """
        check_batch(len(notes), "notes")
        keys = [self.key("notes"), self.key("leases"), self.key("free")]
        client = self._client
        if notes:
            ids = [note.id for note in notes]
            await client.run("release", keys, [owner, microseconds(delay), *ids])

    async def outstanding(self, ids: Sequence[str]) -> list[bool]:
        """Tell which notes are still in the outbox; see `KeyValueStore.outstanding`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` ids.
            BackendError: The server could not be reached, or refused.
        """
        check_batch(len(ids), "ids")
        # What another kind of store called a note is unknown here.
        known = [one for one in ids if one.isascii() and one.isdecimal()]
        client = self._client
        if not known:
            return [False] * len(ids)
        answer = await client.command("ZMSCORE", self.key("order"), *known)
        places = zip(known, cast(list[object | None], answer), strict=True)
        found = {one for one, place in places if place is not None}
        return [one in found for one in ids]

    async def outbox_status(self) -> OutboxStatus:
        """Tell how many notes wait and since when.

        Raises:
            BackendError: The server could not be reached, or refused.
        """
        keys = [self.key("notes"), self.key("order")]
        answer = await self._client.run("status", keys, ())
        depth, oldest = cast(tuple[int, bytes | None], answer)
        return OutboxStatus(
            depth=depth, oldest_at=None if oldest is None else from_microseconds(int(oldest))
        )

    async def read_events(self, *, after: Position, limit: int) -> list[LoggedEvent]:
        """Read the event log onwards from a position.

        Raises:
            InvalidInputError: The position is not one of this store.
            BackendError: The server could not be reached, or refused.
        """
        start = _start(after)
        answer = await self._client.command("XRANGE", self.key("log"), start, "+", "COUNT", limit)
        return [_event(row) for row in cast(list[_LogRow], answer)]

    async def count_events(self, *, after: Position, limit: int) -> int:
        """Tell how many events follow a position, as far as the limit.

        Raises:
            InvalidInputError: The position is not one of this store.
            LimitExceededError: The limit is out of bounds.
            BackendError: The server could not be reached, or refused.
        """
        check_limit(limit)
        counted, asked, found, start = 0, 0, 0, _start(after)
        while found == asked and counted < limit:
            asked = min(limit - counted, _COUNTED_AT_ONCE)
            answer = await self._client.run("count_log", [self.key("log")], [start, asked])
            found, last = cast(tuple[int, bytes], answer)
            counted, start = counted + found, f"({last.decode()}"
        return counted

    async def end_of_events(self) -> Position:
        """Tell where the log ends.

        Raises:
            BackendError: The server could not be reached, or refused.
        """
        answer = await self._client.command("XREVRANGE", self.key("log"), "+", "-", "COUNT", 1)
        rows = cast(list[_LogRow], answer)
        # Read after the log: what is gone from there since then is noted here.
        return _event(rows[0]).position if rows else await self._trimmed()

    async def any_trimmed(self, *, after: Position) -> bool:
        """Tell whether events after a position are gone.

        Raises:
            InvalidInputError: The position is not one of this store.
            BackendError: The server could not be reached, or refused.
        """
        place = (0, 0) if after == START else _place(after)
        trimmed = await self._trimmed()
        return trimmed != START and place < _place(trimmed)

    async def _trimmed(self) -> Position:
        """Read up to where the log was trimmed."""
        found = cast(bytes | None, await self._client.command("GET", self.key("trimmed")))
        return START if found is None else Position(found.decode())

    async def trim_events(self, *, through: Position) -> int:
        """Remove events from the start of the log.

        Raises:
            InvalidInputError: The position is not one of this store.
            BackendError: The server could not be reached, or refused.
        """
        client = self._client
        if through == START:
            return 0
        moment, number = _place(through)
        keys = [self.key("log"), self.key("trimmed")]
        return cast(int, await client.run("trim_log", keys, [moment, number]))

    def key(self, *parts: str) -> str:
        """Return a key of the truth. All of them are in one hash slot."""
        return ":".join((f"{{{self._prefix}:truth}}", *parts))


def _place(position: Position) -> tuple[int, int]:
    found = _POSITION.fullmatch(position)
    if found is None or max(map(int, found.groups())) > _LARGEST:
        raise InvalidInputError(
            f"{position[:80]!r} is not a position of this event log.",
            field="position",
            remedy="Use a position that this store returned, or START.",
        )
    return int(found[1]), int(found[2])


def _start(after: Position) -> str:
    return "-" if after == START else "({}-{}".format(*_place(after))


def _event(row: _LogRow) -> LoggedEvent:
    position, fields = row
    return LoggedEvent(
        position=Position(position.decode()),
        namespace=fields[b"namespace"].decode(),
        note=EventNote(
            type=EVENT_TYPES[fields[b"type"].decode()],
            key=fields[b"key"],
            version=int(fields[b"version"]),
            at=from_microseconds(int(fields[b"at"])),
        ),
    )
