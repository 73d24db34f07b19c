"""A real server: `sfm serve` in a process of its own, on a free port and a data folder."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeAlias

import httpx
import pytest

from sfm_core.model.payload import Payload

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | bool | None"

PATIENCE_SECONDS = 60.0


class ServerProcess:
    """A server that can be killed, stopped and started again on the same data."""

    def __init__(self, folder: Path) -> None:
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

    def client(self) -> httpx.AsyncClient:
        """Return a client of it."""
        return httpx.AsyncClient(base_url=self.url, timeout=PATIENCE_SECONDS, trust_env=False)

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
    def log(self) -> str:
        """What it has logged, over all its starts."""
        return self._log.read_text(encoding="utf-8")

    def _launch(self, embedder: str) -> subprocess.Popen[bytes]:
        assert self._process is None
        with self._log.open("ab") as log:
            return subprocess.Popen(
                self.command("serve", "--port", str(self.port), "--data", str(self.data)),
                cwd=self._folder,
                env={"SFM_EMBEDDER_URL": embedder},
                stdout=log,
                stderr=log,
            )

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        process, self._process = self._process, None
        with process:
            process.send_signal(number)
            return process.wait(PATIENCE_SECONDS)


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def ask(client: httpx.AsyncClient, path: str, body: Payload) -> dict[str, Json]:
    """Send a request that must succeed, and return what it answers."""
    return _answer(await client.post(path, json=body))


async def look(client: httpx.AsyncClient, path: str, **parameters: str) -> dict[str, Json]:
    """Read something that must be there."""
    return _answer(await client.get(path, params=parameters))


def _answer(response: httpx.Response) -> dict[str, Json]:
    assert response.status_code == 200, f"{response.request.url}: {response.text}"
    answer: dict[str, Json] = response.json()
    return answer


async def _ready(client: httpx.AsyncClient) -> bool:
    with suppress(httpx.TransportError):
        return (await client.get("/readyz")).is_success
    return False


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that is not started yet."""
    with ExitStack() as stack:
        process = ServerProcess(tmp_path)
        stack.callback(process.close)
        yield process
