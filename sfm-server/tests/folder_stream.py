"""A plugin with a stream in a folder that processes share, and a handler that writes down.

`folder:/path` is the stream, as a sink and as a source; `notebook:/path/file` is
the handler. A member of the group is whoever holds a lock, so the next one has
its turn when that one is closed or killed.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec

from sfm_core.errors import BackendUnavailableError, InvalidInputError, SfmError
from sfm_core.handling import HandlerContext, RegisterHandler
from sfm_core.hookspecs import hookimpl
from sfm_core.model.cloudevents import cloudevent, parse_cloudevent
from sfm_core.model.events import Event
from sfm_core.porting import Port, check_batch, check_limit
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.source import DeadLetter, Delivery, EventSource, Rejection
from sfm_core.registry import LOCAL, BackendContext, Register

SCHEME = "folder"
_LOCAL = frozenset({LOCAL})
_TABLES = """
    CREATE TABLE IF NOT EXISTS events (number INTEGER PRIMARY KEY, value BLOB);
    CREATE TABLE IF NOT EXISTS done (number INTEGER);
    CREATE TABLE IF NOT EXISTS letters
        (place INTEGER PRIMARY KEY, at TEXT, handler TEXT, code TEXT, reason TEXT);
"""


class Folder(Port):
    """What sink and source have in common."""

    def __init__(self, path: Path) -> None:
        super().__init__(scheme=SCHEME, shared=True)
        self.path = path

    def run(self, statement: str, *values: object) -> list[tuple[object, ...]]:
        """Run one statement in a transaction of its own."""
        self.path.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(self.path / "stream.db", timeout=30)) as db, db:
            # A process may be killed here, the machine is not.
            db.execute("PRAGMA synchronous = OFF")
            db.executescript(_TABLES)
            return db.execute(statement, values).fetchall()

    def done(self) -> int:
        """Return the number of the last event that was acknowledged."""
        [[number]] = self.run("SELECT coalesce(max(number), 0) FROM done")
        assert isinstance(number, int)
        return number

    def left(self) -> int:
        """Return how many events were not acknowledged."""
        [[number]] = self.run("SELECT coalesce(max(number), 0) FROM events")
        assert isinstance(number, int)
        return number - self.done()

    async def ping(self) -> None:
        self._check_open()
        if (self.path / "down").exists():
            raise BackendUnavailableError("The folder is down.", backend=SCHEME)

    async def _take(self, stack: AsyncExitStack) -> None:
        pass


class FolderSink(Folder):
    async def publish(self, events: Sequence[Event]) -> None:
        await self.ping()
        check_batch(len(events), "events")
        for event in events:
            self.put(msgspec.json.encode(cloudevent(event)))

    def put(self, value: bytes) -> None:
        """Append something to the stream."""
        self.run("INSERT INTO events (value) VALUES (?)", value)


class FolderSource(Folder):
    _handed = 0
    _lock: int | None = None

    async def _take(self, stack: AsyncExitStack) -> None:
        stack.callback(self._leave)

    def _leave(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _is_member(self) -> bool:
        if self._lock is None:
            self.path.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_CREAT | os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(lock)
                return False
            self._lock = lock
            self._handed = self.done()
        return True

    async def receive(self, *, limit: int, wait: timedelta) -> list[Delivery]:
        check_limit(limit)
        for _ in range(max(1, int(wait / timedelta(milliseconds=20)))):
            await self.ping()
            if self._is_member():
                rows = self.run(
                    "SELECT number, value FROM events WHERE number > ? ORDER BY number LIMIT ?",
                    self._handed,
                    limit,
                )
                if rows:
                    found = [_delivery(*row) for row in rows]
                    self._handed = int(found[-1].place)
                    return found
            await asyncio.sleep(0.02)
        return []

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        await self.ping()
        for delivery in deliveries[-1:]:
            self.run("INSERT INTO done VALUES (?)", int(delivery.place))

    async def set_aside(self, delivery: Delivery, rejection: Rejection) -> None:
        await self.ping()
        self.run(
            "INSERT OR REPLACE INTO letters VALUES (?, ?, ?, ?, ?)",
            int(delivery.place),
            datetime.now(UTC).isoformat(),
            rejection.handler,
            rejection.code,
            rejection.reason,
        )

    async def lag(self) -> int:
        await self.ping()
        return 0 if self._lock is None else self.left()

    async def dead_letters(self, *, limit: int) -> list[DeadLetter]:
        await self.ping()
        check_limit(limit)
        rows = self.run(
            "SELECT place, at, handler, code, reason, value FROM letters "
            "JOIN events ON number = place ORDER BY place LIMIT ?",
            limit,
        )
        return [_letter(*row) for row in rows]

    async def retry(self, places: Sequence[str]) -> int:
        await self.ping()
        check_batch(len(places), "places")
        for place in places:
            self.run(
                "INSERT INTO events (value) SELECT value FROM events JOIN letters "
                "ON number = place WHERE place = ?",
                place,
            )
        return await self.drop(places)

    async def drop(self, places: Sequence[str]) -> int:
        await self.ping()
        check_batch(len(places), "places")
        return sum(
            len(self.run("DELETE FROM letters WHERE place = ? RETURNING place", place))
            for place in places
        )


class Notebook:
    """A handler that appends the id of each event to a file before it answers.

    It refuses events whose payload says so, fails while a file `down` lies beside, and does
    not end while a file `hang` does.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        pass

    async def handle(self, events: Sequence[Event]) -> list[SfmError | None]:
        if self._path.with_name("down").exists():
            raise BackendUnavailableError("The notebook is down.", backend="notebook")
        while self._path.with_name("hang").exists():  # noqa: ASYNC110 - a file tells nobody
            await asyncio.sleep(0.02)
        with self._path.open("a") as book:
            for event in events:
                book.write(f"{event.subject} {event.version}\n")
                book.flush()
                await asyncio.sleep(0)
        return [_verdict(event) for event in events]


def _verdict(event: Event) -> SfmError | None:
    if event.data is not None and "refuse" in event.data:
        return InvalidInputError("It says so itself.", field="refuse")
    return None


def _delivery(number: object, value: object) -> Delivery:
    assert isinstance(value, bytes)
    try:
        return Delivery(place=str(number), event=parse_cloudevent(msgspec.json.decode(value)))
    except (SfmError, ValueError) as error:
        return Delivery(place=str(number), event=None, problem=str(error))


def _letter(*row: object) -> DeadLetter:
    place, at, handler, code, reason, value = row
    assert isinstance(value, bytes)
    return DeadLetter(
        place=str(place),
        rejection=Rejection(handler=str(handler), code=str(code), reason=str(reason)),
        at=datetime.fromisoformat(str(at)),
        value=value,
    )


def _path(url: str) -> Path:
    return Path(urlsplit(url).path)


def _sink(url: str, context: BackendContext) -> FolderSink:  # noqa: ARG001 - a factory
    return FolderSink(_path(url))


def _source(url: str, context: BackendContext) -> FolderSource:  # noqa: ARG001 - a factory
    return FolderSource(_path(url))


def _notebook(url: str, context: HandlerContext) -> Notebook:
    return Notebook(Path(context.backends.options.get("NOTEBOOK_FILE", urlsplit(url).path)))


@hookimpl
def sfm_register_event_sinks(register: Register[EventSink]) -> None:
    register(SCHEME, _sink, summary="A folder.", capabilities=_LOCAL)


@hookimpl
def sfm_register_event_sources(register: Register[EventSource]) -> None:
    register(SCHEME, _source, summary="A folder.", capabilities=_LOCAL)


@hookimpl
def sfm_register_event_handlers(register: RegisterHandler) -> None:
    register(
        "notebook",
        _notebook,
        summary="Writes down.",
        options={"NOTEBOOK_FILE": "Where to, instead of what the URL names."},
    )


def install(folder: Path) -> None:
    """Make a folder that, on the search path of a process, installs this plugin there."""
    info = folder / "folder_stream-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: folder-stream\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[sfm]\nfolder = folder_stream\n")
    (folder / "folder_stream.py").symlink_to(__file__)
