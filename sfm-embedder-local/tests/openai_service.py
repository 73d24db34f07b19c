"""A service on this machine that speaks the OpenAI embeddings API, well or badly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypedDict

import pytest

DIMENSION = 3


class Question(TypedDict):
    model: str
    input: list[str]


@dataclass
class Reply:
    """One answer of the service; without a status it never answers."""

    body: str | Callable[[Sequence[str]], str] = field(
        default_factory=lambda: embeddings  # the service as it should be
    )
    status: int | None = 200
    headers: str = ""


def vector_of(text: str) -> list[float]:
    return [len(text), text.count("a"), 1.0]


def embeddings(texts: Sequence[str]) -> str:
    data = [
        {"object": "embedding", "index": index, "embedding": vector_of(text)}
        for index, text in enumerate(texts)
    ]
    return json.dumps({"object": "list", "data": data[::-1], "model": "m", "usage": {}})


class Service:
    """An HTTP server on this machine that gives planned answers, then right ones."""

    def __init__(self) -> None:
        self.plan: list[Reply] = []
        self.questions: list[Question] = []
        self.headers: list[str] = []
        self.asked = asyncio.Event()
        self.under_way = 0
        self.most_under_way = 0
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length:")[1].split()[0])
        question: Question = json.loads(await reader.readexactly(length))
        self.headers.append(head)
        self.questions.append(question)
        self.asked.set()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        reply = self.plan.pop(0) if self.plan else Reply()
        if reply.status is None:
            await asyncio.Event().wait()
        await asyncio.sleep(0.001)
        self.under_way -= 1
        body = reply.body if isinstance(reply.body, str) else reply.body(question["input"])
        writer.write(
            f"HTTP/1.1 {reply.status} Said\r\n{reply.headers}"
            f"Content-Length: {len(body.encode())}\r\n\r\n{body}".encode()
        )
        await writer.drain()


class PatientClock:
    """Notes how long it was asked to wait, and does not."""

    def __init__(self) -> None:
        self.waits: list[timedelta] = []

    def now(self) -> datetime:
        return datetime(2024, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, delay: timedelta) -> None:
        self.waits.append(delay)
        await asyncio.sleep(0)


@pytest.fixture
async def service(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Service]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    service = Service()
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.create_task(service.serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    service.url = f"http://127.0.0.1:{port}/v1"
    yield service
    server.close()
    for task in connections:
        task.cancel()
    await asyncio.gather(*connections, return_exceptions=True)
    await server.wait_closed()
