"""Real servers for the tests: one per session, and others that a test may kill."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
import pytest_asyncio
import trustme
from redis_helpers import with_options
from redis_server import URL_VARIABLE, Server, free_port, tell


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
