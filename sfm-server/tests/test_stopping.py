"""What becomes of connections without a request when the server is told to stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from sfm_server.limiting.patience import PatientProtocol

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
PATIENCE_SECONDS = 60


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer every request with 204."""
    del scope, receive
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


class Serving:
    """The protocol behind a port, and one client of it."""

    def __init__(
        self, state: ServerState, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._state = state
        self._reader = reader
        self._writer = writer

    async def ask(self) -> bytes:
        self._writer.write(REQUEST)
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def rest(self) -> bytes:
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self._reader.read()

    def stop(self) -> None:
        """Do to connections what a server does that is told to stop."""
        for connection in list(self._state.connections):
            connection.shutdown()


@pytest.fixture
async def serving() -> AsyncGenerator[Serving]:
    config = Config(answer, lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: PatientProtocol(config, state, {}), host="127.0.0.1", port=0
    )
    async with server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        while not state.connections:  # noqa: ASYNC110 - nobody here is told
            await asyncio.sleep(0)
        yield Serving(state, reader, writer)
        writer.close()
        await writer.wait_closed()


async def test_a_request_that_is_on_its_way_is_answered_and_is_the_last(serving: Serving) -> None:
    assert b"connection: close" not in await serving.ask()
    serving.stop()
    assert b"connection: close" in await serving.ask()
    assert await serving.rest() == b""


async def test_the_first_request_of_a_connection_is_answered_too(serving: Serving) -> None:
    serving.stop()
    assert (await serving.ask()).startswith(b"HTTP/1.1 204")
    assert await serving.rest() == b""


async def test_a_connection_on_which_nothing_comes_is_closed(serving: Serving) -> None:
    await serving.ask()
    serving.stop()
    assert await serving.rest() == b""
