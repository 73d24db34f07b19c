"""Real servers for the tests: one per session, and others that a test may kill."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast
from uuid import uuid4

import pytest
from redis_helpers import with_options
from redis_server import URL_VARIABLE, Server, secure_server, tell

from sfm_core.testing.loopback import free_port

# So that a machine that is busy with other tests does not fail these.
PATIENT = "timeout_seconds=20&connect_timeout_seconds=20"


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
    return with_options(redis_server, f"{PATIENT}&prefix=test-{uuid4().hex}")


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
    asyncio.run(form_cluster(servers, buses[0]))
    yield "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in servers)
    for server in servers:
        server.stop()


@pytest.fixture
def cluster_url(cluster_nodes: str) -> str:
    """Return the URL of a cluster with a prefix of its own."""
    return with_options(cluster_nodes, f"{PATIENT}&prefix=test-{uuid4().hex}")


async def form_cluster(servers: list[Server], bus: int) -> None:
    """Make a cluster of servers that share the slots equally."""
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
class Secured:
    """A server that wants TLS and a password.

    Attributes:
        port: Where it listens, on `localhost`.
        ca_file: The certificate that it can be recognised by.
        password: What it asks for.
    """

    port: int
    ca_file: Path
    password: str


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """Return a server with TLS and a password for the whole session."""
    password = "right"  # noqa: S105 - of nobody
    server = secure_server(tmp_path_factory.mktemp("secure"), password=password)
    server.start()
    assert server.ca_file
    yield Secured(port=server.port, ca_file=server.ca_file, password=password)
    server.stop()


@pytest.fixture
def secured_url(secured: Secured) -> str:
    """Return a URL of the server with TLS, with a prefix of its own."""
    url = f"rediss://:{secured.password}@localhost:{secured.port}/0?ca_file={secured.ca_file}"
    return with_options(url, f"{PATIENT}&prefix=test-{uuid4().hex}")
