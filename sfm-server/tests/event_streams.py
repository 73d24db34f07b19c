"""Listening to streams of events: of an application in this process, or of a server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlencode

from starlette.types import Message

from sfm_server.app import MemoryApp

PATIENCE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One message of a stream.

    Attributes:
        id: Where to go on after it.
        event: The type of the event; "" where it only tells the position.
        document: What it says.
    """

    id: str
    event: str = ""
    document: dict[str, object] = field(default_factory=dict[str, object])

    @property
    def what(self) -> tuple[object, object]:
        """What it is about, and which version."""
        return self.document.get("subject"), self.document.get("version")


async def messages(chunks: AsyncIterable[bytes]) -> AsyncGenerator[Told]:
    """Take a stream apart, as the standard says."""
    rest = b""
    async for chunk in chunks:
        *blocks, rest = (rest + chunk).split(b"\n\n")
        for block in blocks:
            lines = [line.partition(": ") for line in block.decode().split("\n")]
            fields = {name: value for name, _, value in lines if name}
            if fields:
                yield Told(
                    id=fields["id"],
                    event=fields.get("event", ""),
                    document=json.loads(fields.get("data", "{}")),
                )


@dataclass(slots=True, eq=False)
class Stream:
    """An answer that has begun.

    Attributes:
        status: Its status.
        headers: Its headers.
    """

    status: int
    headers: Mapping[str, str]
    _messages: AsyncGenerator[Told]
    _chunks: AsyncIterator[bytes]

    async def next(self) -> Told:
        """Wait for the next message."""
        async with asyncio.timeout(PATIENCE):
            return await anext(self._messages)

    async def events(self, count: int) -> list[Told]:
        """Wait for so many events."""
        found: list[Told] = []
        while len(found) < count:
            told = await self.next()
            found += [told] if told.event else []
        return found

    async def body(self) -> bytes:
        """Wait for the end, and return everything."""
        async with asyncio.timeout(PATIENCE):
            return b"".join([chunk async for chunk in self._chunks])


class _Connection:
    """What an application talks to: it takes one message at a time, until it is hung up."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.sent: asyncio.Queue[Message] = asyncio.Queue(maxsize=1)
        self._asked = False

    async def receive(self) -> Message:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if not self.gone.is_set():
            await self.sent.put(message)

    async def chunks(self) -> AsyncGenerator[bytes]:
        more = True
        while more:
            message = await self.sent.get()
            more = message.get("more_body", False)
            yield message["body"]

    async def hang_up(self, serving: asyncio.Task[None]) -> None:
        self.gone.set()
        while not self.sent.empty():
            self.sent.get_nowait()
        async with asyncio.timeout(PATIENCE):
            await serving


@asynccontextmanager
async def listen(
    app: MemoryApp, path: str = "/events", *, headers: Mapping[str, str] | None = None, **query: str
) -> AsyncGenerator[Stream]:
    """Ask an application that runs in this process; leaving hangs up."""
    connection = _Connection()
    scope = _scope(path, query, headers or {})
    serving = asyncio.create_task(app(scope, connection.receive, connection.send))
    try:
        begun = await asyncio.wait_for(connection.sent.get(), PATIENCE)
        answer = {name.decode(): value.decode() for name, value in begun["headers"]}
        chunks = connection.chunks()
        yield Stream(begun["status"], answer, messages(chunks), chunks)
    finally:
        await connection.hang_up(serving)


def _scope(path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, object]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": urlencode(query).encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "server": ("sfm", 80),
        "client": ("here", 1),
    }
