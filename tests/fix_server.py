"""A real server: `sfm serve` in a process of its own, on a free port and a data folder."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest
import pytest_asyncio

from sfm_core.model.payload import Payload
from sfm_core.testing.loopback import free_port
from tests.fix_modes import Stores

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

PATIENCE_SECONDS = 120.0


class ServerProcess:
    """A server that can be killed, stopped and started again on the same data."""

    def __init__(self, folder: Path, variables: Mapping[str, str]) -> None:
        self.variables = dict(variables)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.data = folder / "data"
        self._folder = folder
        self._log = folder / "server.log"
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, *, embedder: str = "hashing:") -> None:
        """Start it, and wait until it can serve requests."""
        self._process = process = self._launch(embedder)
        async with asyncio.timeout(PATIENCE_SECONDS), self.client() as client:
            while not await _ready(client):
                assert process.poll() is None, self.log
                await asyncio.sleep(0.02)

    def client(self, namespace: str = "default") -> httpx.AsyncClient:
        """Return a client of it, which works in a namespace unless a request names another."""
        return httpx.AsyncClient(
            base_url=self.url,
            timeout=PATIENCE_SECONDS,
            trust_env=False,
            headers={"X-SFM-Namespace": namespace},
        )

    def kill(self) -> None:
        """End it as a crash of the machine's kernel would: it gets no chance to do anything."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Ask it to stop, and wait until it has done so in good order."""
        status = self._end(signal.SIGTERM)
        # After its own work is done, the server lets the signal have its usual effect.
        assert status in {0, -signal.SIGTERM}, self.log
        assert self.log.rstrip().splitlines()[-1].find("Finished server process") > 0, self.log

    def close(self) -> None:
        """See to it that nothing of it is left."""
        if self._process is not None:
            self.kill()

    def command(self, *arguments: str) -> list[str]:
        """Return a command line of the program `sfm`."""
        return [sys.executable, "-m", "sfm_server", *arguments]

    @property
    def runs(self) -> bool:
        """Whether it was started, and not ended since."""
        return self._process is not None

    @property
    def process_id(self) -> int:
        """The number of its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """What it has logged, over all its starts."""
        return self._log.read_text(encoding="utf-8")

    @property
    def surprises(self) -> str:
        """What it has logged from the first error on that nobody expected; nothing if none."""
        _, found, rest = self.log.partition("Traceback")
        return "\n".join((found + rest).splitlines()[:200])

    def _launch(self, embedder: str) -> subprocess.Popen[bytes]:
        assert self._process is None
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self.command("serve", "--port", str(self.port), "--data", str(self.data)),
                cwd=self._folder,
                env={**self.variables, "SFM_EMBEDDER_URL": embedder},
                stdout=log,
                stderr=log,
            )

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        process, self._process = self._process, None
        with process:
            process.send_signal(number)
            return process.wait(PATIENCE_SECONDS)


MakeServer: TypeAlias = Callable[[], ServerProcess]


async def ask(client: httpx.AsyncClient, path: str, body: Payload) -> dict[str, Json]:
    """Send a request that must succeed, and return what it answers."""
    return _answer(await client.post(path, json=body))


async def look(client: httpx.AsyncClient, path: str, **parameters: str) -> dict[str, Json]:
    """Read something that must be there."""
    return _answer(await client.get(path, params=parameters))


async def health_of(client: httpx.AsyncClient) -> dict[str, Json]:
    """Read how it is; a store that takes two seconds for an answer counts as down meanwhile."""
    health: dict[str, Json] = (await client.get("/health")).json()
    return health


def _answer(response: httpx.Response) -> dict[str, Json]:
    assert response.status_code == 200, f"{response.request.url}: {response.text}"
    answer: dict[str, Json] = response.json()
    return answer


async def settled(condition: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something is so in a server, which can only be asked for."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await condition():  # noqa: ASYNC110 - nobody here is told
            await asyncio.sleep(0.05)


async def _ready(client: httpx.AsyncClient) -> bool:
    with suppress(httpx.TransportError):
        return (await client.get("/readyz")).is_success
    return False


@pytest.fixture
def make_server(
    mode: str, stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MakeServer]:
    """Makes servers that are not started yet, each with stores of its own."""
    with ExitStack() as stack:

        def make() -> ServerProcess:
            process = ServerProcess(tmp_path_factory.mktemp("server"), stores.variables(mode))
            stack.callback(process.close)
            return process

        yield make


@pytest.fixture
def server(make_server: MakeServer) -> ServerProcess:
    """A server that is not started yet, in the mode of this test."""
    return make_server()


@pytest.fixture(scope="session")
def servers(
    stores: Stores, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], ServerProcess]]:
    """Returns the one server in a mode that tests share."""
    with ExitStack() as stack:

        @cache
        def one(mode: str) -> ServerProcess:
            process = ServerProcess(tmp_path_factory.mktemp("server"), stores.variables(mode))
            stack.callback(process.close)
            return process

        yield one


@pytest_asyncio.fixture
async def shared_server(mode: str, servers: Callable[[str], ServerProcess]) -> ServerProcess:
    """A server that runs in the mode of this test, with what other tests have stored on it."""
    server = servers(mode)
    if not server.runs:
        await server.start()
    return server
