"""A TCP proxy between a backend and its server, which can spoil the connection in many ways.

::

    async with TcpProxy.before("redis://127.0.0.1:6379/0") as proxy:
        async with make_store(proxy.url) as store:
            proxy.black_hole()          # nothing arrives any more, in either direction
            ...
            await proxy.pass_through()  # and what was on its way arrives late

Whatever is switched holds for connections that are open and for new ones. The
server may run in any process; the proxy runs in the event loop of the test.
"""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from sfm_core.testing._proxy_link import Cut, Link, Switches, abort

_HOST = "127.0.0.1"
_NO_TIME = timedelta()


class TcpProxy:
    """Listens on a free port of the loopback interface for as long as it is open.

    Attributes:
        accepted: How many connections were made to it.
    """

    def __init__(self, host: str, port: int, *, url: str = "", own_port: int = 0) -> None:
        """Stand before a server.

        Args:
            host: Where the server is.
            port: Where it listens.
            url: Its URL, for the attribute of that name.
            own_port: Where to listen, for a server that tells its clients where to find it and
                has to be told before it starts; 0 for any port that is free.
        """
        self.accepted = 0
        self._target = (host, port)
        self._url = url
        self._port = own_port
        self._listener: asyncio.Server | None = None
        self._reserved: socket.socket | None = None
        self._resets_new = False
        self._switches = Switches()
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    def before(cls, url: str, *, default_port: int | None = None) -> Self:
        """Stand before the server that a URL names.

        Args:
            url: A URL with one host.
            default_port: Where the server listens if the URL does not say.

        Returns:
            The proxy, not open yet.

        Raises:
            ValueError: The URL names no single host, or no port.
        """
        parts = urlsplit(url)
        port = None if "," in parts.netloc else parts.port or default_port
        if not parts.hostname or port is None:
            raise ValueError("A proxy needs a URL with one host and a port.")
        return cls(parts.hostname, port, url=url)

    async def __aenter__(self) -> Self:
        self._listener = await asyncio.start_server(self._accept, _HOST, self._port)
        self._port = int(self._listener.sockets[0].getsockname()[1])
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop_listening()
        if self._reserved is not None:
            self._reserved.close()
        await self.reset_all()

    @property
    def host(self) -> str:
        """Where it listens."""
        return _HOST

    @property
    def port(self) -> int:
        """The port that it listens on, the same one after every outage."""
        return self._port

    @property
    def url(self) -> str:
        """The URL of the server with the proxy's address in place of the server's."""
        return self.rewritten(self._url)

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._tasks)

    @property
    def requested_bytes(self) -> int:
        """How much it has carried to the server."""
        return self._switches.request.carried

    @property
    def answered_bytes(self) -> int:
        """How much it has carried back."""
        return self._switches.answer.carried

    @property
    def cuts(self) -> int:
        """How many connections it has ended in the middle of a request or an answer."""
        return self._switches.request.cuts + self._switches.answer.cuts

    def rewritten(self, url: str) -> str:
        """Return any URL with this proxy as its host; login, path and query stay."""
        parts = urlsplit(url)
        login, at, _ = parts.netloc.rpartition("@")
        return parts._replace(netloc=f"{login}{at}{self.host}:{self.port}").geturl()

    async def pass_through(self) -> None:
        """End whatever is wrong: what a black hole held arrives, and cuts are called off."""
        self._resets_new = False
        self._switches.request.delay = self._switches.answer.delay = _NO_TIME
        self._switches.request.cut = self._switches.answer.cut = None
        self._switches.flows.set()
        await self._listen_again()

    async def refuse(self) -> None:
        """Be a server that has died: reset what is open, and listen no more."""
        self._stop_listening()
        if self._reserved is None:
            # So that nobody else gets the port meanwhile.
            self._reserved = _bound(self._port)
        await self.reset_all()

    def reset_new(self) -> None:
        """Accept new connections and reset them at once; those that are open go on."""
        self._resets_new = True

    def black_hole(self) -> None:
        """Accept connections and carry nothing, as a network that drops every packet.

        What is sent meanwhile is late, not lost: it arrives after `pass_through`.
        Call `reset_all` before that to lose it.
        """
        self._switches.flows.clear()

    def delay(self, *, request: timedelta = _NO_TIME, answer: timedelta = _NO_TIME) -> None:
        """Carry everything later.

        Args:
            request: How much later the server gets it.
            answer: How much later the client gets it.
        """
        self._switches.request.delay = request
        self._switches.answer.delay = answer

    def cut_requests(self, *, after: int = 0, times: int | None = 1) -> None:
        """End a connection in the middle of what the client sends.

        Args:
            after: How many bytes from now each connection still carries.
            times: How many connections are to end so; `None` for every one.
        """
        self._switches.request.cut = Cut(after, times)

    def cut_answers(self, *, after: int = 0, times: int | None = 1) -> None:
        """End a connection in the middle of an answer: the server did what it was told.

        Args:
            after: How many bytes from now each connection still carries back.
            times: How many connections are to end so; `None` for every one.
        """
        self._switches.answer.cut = Cut(after, times)

    async def reset_all(self) -> None:
        """Reset every connection that is open, now; what was on its way is lost."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        # Where it is cancelled before it begins, nobody else does.
        task.add_done_callback(lambda _: abort(writer))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._resets_new:
            abort(writer)
            return
        try:
            there = await asyncio.open_connection(*self._target)
        except OSError:
            abort(writer)
            return
        except asyncio.CancelledError:
            abort(writer)
            raise
        await Link(self._switches, (reader, writer), there).run()

    def _stop_listening(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    async def _listen_again(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None
        if self._listener is None:
            self._listener = await asyncio.start_server(self._accept, _HOST, self._port)


def _bound(port: int) -> socket.socket:
    """Return a socket that has the port and does not listen, so that connecting is refused."""
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind((_HOST, port))
    return held
