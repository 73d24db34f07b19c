"""Real PostgreSQL servers for tests, on free loopback ports."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgres_server import (
    DISTRIBUTION_BINARIES,
    PostgresServer,
    empty,
    left_out,
    make_database,
    wheel_binaries,
)


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
        left_out("Install postgresql-15 to test the oldest server.")
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
        left_out("Install postgresql-15 to test TLS.")
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
