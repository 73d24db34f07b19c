"""In-process backends behind a real TCP connection, so that there is a network to spoil."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

from sfm_core.errors import BackendUnavailableError, ClosedError
from sfm_core.protocols.lifecycle import Backend

HEAD_BYTES = 4
FAILURES = (OSError, EOFError, TimeoutError)


@asynccontextmanager
async def serving(backend: Backend) -> AsyncGenerator[str]:
    """Serve a backend, which it opens, under a URL."""
    tasks: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.create_task(_serve(backend, reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with backend:
        yield f"remote://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _serve(
    backend: Backend, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    try:
        with suppress(*FAILURES):
            while True:
                method, arguments, options = pickle.loads(await receive(reader))  # noqa: S301 - both ends are this test
                await send(
                    writer, pickle.dumps(await getattr(backend, method)(*arguments, **options))
                )
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def receive(reader: asyncio.StreamReader) -> bytes:
    """Read one message."""
    size = int.from_bytes(await reader.readexactly(HEAD_BYTES), "big")
    return await reader.readexactly(size)


async def send(writer: asyncio.StreamWriter, message: bytes) -> None:
    """Write one message."""
    writer.write(len(message).to_bytes(HEAD_BYTES, "big") + message)
    await writer.drain()


class RemoteBackend:
    """Any port, on one connection that is made anew when it was lost."""

    scheme = "remote"
    shared = True

    def __init__(self, url: str) -> None:
        self.host, _, port = url.removeprefix("remote://").partition(":")
        self.port = int(port)
        self.seconds = 0.5
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()
        self._open = False

    async def __aenter__(self) -> Self:
        await self.reach("ping")
        self._open = True
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._open = False
        self.hang_up()

    async def ping(self) -> None:
        await self.call("ping")

    def __getattr__(self, method: str) -> Callable[..., Awaitable[object]]:
        def call(*arguments: object, **options: object) -> Awaitable[object]:
            return self.call(method, *arguments, **options)

        return call

    async def call(self, method: str, *arguments: object, **options: object) -> object:
        """Call a method there."""
        if not self._open:
            raise ClosedError("It is not open.")
        return await self.reach(method, *arguments, **options)

    async def reach(self, method: str, *arguments: object, **options: object) -> object:
        """Call a method there, open or not."""
        try:
            async with asyncio.timeout(self.seconds):
                return await self.exchange(pickle.dumps((method, arguments, options)))
        except FAILURES as error:
            raise BackendUnavailableError("It was not reached.", backend="remote") from error

    async def exchange(self, message: bytes) -> object:
        """Send a message and wait for its answer; a connection that did not do both is given up."""
        async with self._turn:
            try:
                if self._streams is None:
                    self._streams = await asyncio.open_connection(self.host, self.port)
                reader, writer = self._streams
                await send(writer, message)
                answer: object = pickle.loads(await receive(reader))  # noqa: S301 - both ends are this test
            except BaseException:
                self.hang_up()
                raise
            return answer

    def hang_up(self) -> None:
        """End the connection."""
        streams, self._streams = self._streams, None
        if streams is not None:
            streams[1].close()
