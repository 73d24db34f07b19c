"""A real `sfm serve` in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from sfm_core.testing.loopback import free_port

TOKEN = "a-token-for-tests"  # noqa: S105 - it guards nothing
_PATIENCE_SECONDS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running server."""

    url: str
    data: Path
    process: subprocess.Popen[bytes]
    log: Path

    def stop(self, kind: signal.Signals = signal.SIGTERM) -> str:
        """Stop it, wait for its end, and return its log."""
        if self.process.poll() is None:
            self.process.send_signal(kind)
        self.process.wait(_PATIENCE_SECONDS)
        return self.log.read_text()


Serve = Callable[..., Server]


def start(
    folder: Path,
    *,
    environ: Mapping[str, str] | None = None,
    port: int | None = None,
    wait: bool = True,
) -> Server:
    """Start a server and wait until it answers."""
    port = port or free_port()
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "data"
    log = folder / "log"
    ours = os.environ  # noqa: TID251 - the server finds its interpreter and home there
    inherited = {name: ours[name] for name in ("PATH", "HOME") if name in ours}
    command = [sys.executable, "-m", "sfm_server", "serve", "--port", str(port)]
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [*command, "--data", str(data)],
            stdout=sink,
            stderr=sink,
            cwd=folder,
            env={**inherited, **(environ or {})},
        )
    server = Server(url=f"http://127.0.0.1:{port}", data=data, process=process, log=log)
    if wait:
        _wait_until_ready(server)
    return server


def _wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < deadline and server.process.poll() is None:
        with suppress(httpx.TransportError):
            if httpx.get(f"{server.url}/healthz", timeout=5).is_success:
                return
        # Another process is waited for, whose clock no test can move.
        time.sleep(0.02)  # noqa: TID251
    server.process.kill()
    server.process.wait()
    pytest.fail(f"The server did not start:\n{server.log.read_text()}")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    """One server in mode `embedded` with a token, for all tests; each uses its own namespace."""
    running = start(tmp_path_factory.mktemp("server"), environ={"SOMA_API_TOKEN": TOKEN})
    yield running
    running.stop()


@pytest.fixture
def serve(tmp_path: Path) -> Generator[Serve]:
    """Starts servers that are stopped after the test."""
    started: list[Server] = []

    def starter(name: str = "served", **environ: str) -> Server:
        running = start(tmp_path / name, environ=environ)
        started.append(running)
        return running

    yield starter
    for running in started:
        running.stop(signal.SIGKILL)
