"""A real `sfm consumer` in a process of its own, on a stream in a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
import msgspec
import pytest
from folder_stream import FolderSink, install

from sfm_core.model.cloudevents import cloudevent
from sfm_core.model.events import Event
from sfm_core.testing.loopback import free_port

_PATIENCE_SECONDS = 120


class ConsumerProcess:
    """A consumer that can be killed, stopped and started again.

    Attributes:
        folder: Where it works; `book` in it is what its handler has written.
        environ: Its variables.
        url: Its status pages.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""
        install(folder / "plugins")
        self.stream = FolderSink(folder / "stream")
        self.environ = {
            "PYTHONPATH": str(folder / "plugins"),
            "SFM_SOURCE_URL": f"folder:{folder / 'stream'}",
            "SFM_CONSUMER_HANDLERS": f"notebook:{folder / 'book'}",
            "SFM_DATA_FOLDER": str(folder / "data"),
            "MEMORY_MODE": "test",
        }
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """Everything that it has logged, over all its lives."""
        return self._log.read_text()

    @property
    def book(self) -> list[tuple[str, int]]:
        """Subject and version of each event that the handler was given."""
        path = self.folder / "book"
        lines = path.read_text().splitlines() if path.exists() else []
        return [(subject, int(version)) for subject, version in map(str.split, lines)]

    def publish(self, *events: Event) -> None:
        """Put events on the stream."""
        for event in events:
            self.stream.put(msgspec.json.encode(cloudevent(event)))

    def start(self, *, wait: bool = True, options: Sequence[str] = (), **environ: str) -> None:
        """Start it, and wait until it consumes."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.environ |= environ
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "sfm_server", "consumer", "--port", str(port), *options],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=_inherited() | self.environ,
            )
        if wait:
            until(lambda: self.get("/readyz").is_success, self)

    def get(self, path: str) -> httpx.Response:
        """Ask a status page; status 599 where nobody answers."""
        with suppress(httpx.TransportError):
            return httpx.get(self.url + path, timeout=60, trust_env=False)
        return httpx.Response(599)

    def figure(self, name: str) -> float:
        """Return a figure of its metrics."""
        lines = self.get("/metrics").text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))

    def send(self, kind: signal.Signals) -> None:
        """Send it a signal."""
        assert self._process is not None
        self._process.send_signal(kind)

    def end(self, kind: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal and return its exit status."""
        self.send(kind)
        return self.status()

    def status(self) -> int:
        """Wait for its end and return its exit status."""
        assert self._process is not None
        process, self._process = self._process, None
        return process.wait(_PATIENCE_SECONDS)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def close(self) -> None:
        """See that nothing of it is left."""
        if self._process is not None:
            self.end(signal.SIGKILL)

    def sfm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command with its variables."""
        return subprocess.run(
            [sys.executable, "-m", "sfm_server", *arguments],
            cwd=self.folder,
            env=_inherited() | self.environ,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_SECONDS,
            check=False,
        )


def until(condition: Callable[[], bool], process: ConsumerProcess) -> None:
    """Wait until something holds for a process, which has to live meanwhile."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert process.runs, process.log
        assert time.monotonic() < deadline, process.log
        # Another process is waited for, whose clock no test can move.
        time.sleep(0.02)  # noqa: TID251


def _inherited() -> dict[str, str]:
    ours = os.environ  # noqa: TID251 - the process finds its interpreter and home there
    return {name: ours[name] for name in ("PATH", "HOME") if name in ours}


@pytest.fixture
def consumer(tmp_path: Path) -> Generator[ConsumerProcess]:
    """A consumer that does not run yet."""
    process = ConsumerProcess(tmp_path)
    yield process
    process.close()


def firsts(book: Sequence[tuple[str, int]], subject: str) -> list[int]:
    """Return the versions of a memory in the order in which each came first."""
    return list(dict.fromkeys(version for about, version in book if about == subject))
