"""One connection through the proxy: two ways, each read by one task and written by another."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias

_CHUNK_BYTES = 65536
_CHUNKS_UNDER_WAY = 64
# A linger time of nothing makes the system reset the connection in place of closing it.
_RESET = struct.pack("ii", 1, 0)

Streams: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_Parcels: TypeAlias = asyncio.Queue[tuple[float, bytes]]


@dataclass(slots=True, eq=False)
class Cut:
    """Where connections are to end.

    Attributes:
        after: Bytes that each connection still carries.
        left: How many connections are still to end; `None` for every one.
    """

    after: int
    left: int | None


@dataclass(slots=True)
class Way:
    """What is switched for one direction.

    Attributes:
        delay: How much later everything arrives.
        cut: Where connections end, if they are to.
        carried: Bytes that have arrived.
        cuts: Connections that were ended.
    """

    delay: timedelta = timedelta()
    cut: Cut | None = None
    carried: int = 0
    cuts: int = 0


@dataclass(slots=True)
class Switches:
    """What is switched for all connections.

    Attributes:
        request: From the client to the server.
        answer: From the server to the client.
        flows: Clear while nothing is carried.
    """

    request: Way = field(default_factory=Way)
    answer: Way = field(default_factory=Way)
    flows: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.flows.set()


class CutError(Exception):
    """The connection has carried as much as it was to carry."""


class Link:
    """Carries bytes both ways until both sides have ended, or one of them breaks."""

    def __init__(self, switches: Switches, client: Streams, server: Streams) -> None:
        """Join two connections.

        Args:
            switches: What is to go wrong; looked at again for each piece.
            client: Who connected.
            server: Where it wanted to.
        """
        self._switches = switches
        self._client = client
        self._server = server

    async def run(self) -> None:
        """Carry until the end, or until this is cancelled, which resets both connections."""
        writers = (self._client[1], self._server[1])
        try:
            await self._carry()
        except asyncio.CancelledError:
            self._reset()
            raise
        finally:
            # Both, before either is waited for, which may be cancelled.
            for writer in writers:
                writer.close()
            for writer in writers:
                await _closed(writer)

    async def _carry(self) -> None:
        (from_client, to_client), (from_server, to_server) = self._client, self._server
        request, answer = self._switches.request, self._switches.answer
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read_and_write(from_client, to_server, request))
                group.create_task(self._read_and_write(from_server, to_client, answer))
        except* CutError:
            to_client.close()
            to_server.close()
        except* OSError:
            self._reset()

    def _reset(self) -> None:
        for _, writer in (self._client, self._server):
            abort(writer)

    async def _read_and_write(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way
    ) -> None:
        parcels: _Parcels = asyncio.Queue(_CHUNKS_UNDER_WAY)
        async with asyncio.TaskGroup() as group:
            group.create_task(_read(reader, parcels, way))
            group.create_task(_Writing(self._switches.flows, way, writer).run(parcels))


class _Writing:
    """The far end of one way."""

    def __init__(self, flows: asyncio.Event, way: Way, writer: asyncio.StreamWriter) -> None:
        self._flows = flows
        self._way = way
        self._writer = writer
        self._cut: Cut | None = None
        self._left = 0

    async def run(self, parcels: _Parcels) -> None:
        """Write what was read when it is due."""
        loop = asyncio.get_running_loop()
        while True:
            due, data = await parcels.get()
            await asyncio.sleep(max(0.0, due - loop.time()))
            await self._flows.wait()
            if not data:
                break
            await self._write(data)
        if self._writer.can_write_eof():
            self._writer.write_eof()

    async def _write(self, data: bytes) -> None:
        kept = data[: self._allowance(len(data))]
        self._writer.write(kept)
        await self._writer.drain()
        self._way.carried += len(kept)
        if len(kept) < len(data):
            self._way.cuts += 1
            raise CutError

    def _allowance(self, wanted: int) -> int:
        """Return how much may pass, and take part in the cut that was switched."""
        cut = self._way.cut
        if cut is None:
            return wanted
        if cut is not self._cut:
            self._cut, self._left = cut, cut.after
        allowed = min(wanted, self._left)
        self._left -= allowed
        if allowed < wanted and cut.left is not None:
            cut.left -= 1
            if cut.left == 0:
                self._way.cut = None
        return allowed


async def _read(reader: asyncio.StreamReader, parcels: _Parcels, way: Way) -> None:
    loop = asyncio.get_running_loop()
    while True:
        data = await reader.read(_CHUNK_BYTES)
        await parcels.put((loop.time() + way.delay.total_seconds(), data))
        if not data:
            return


def abort(writer: asyncio.StreamWriter) -> None:
    """Reset one connection."""
    held: socket.socket | None = writer.get_extra_info("socket")
    if held is not None and not writer.is_closing():
        with suppress(OSError):
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()


async def _closed(writer: asyncio.StreamWriter) -> None:
    try:
        with suppress(OSError):
            await writer.wait_closed()
    except asyncio.CancelledError:
        abort(writer)
        raise
