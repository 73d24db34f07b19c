"""PgBouncer before a server, in transaction mode."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
from postgres_server import as_nobody

from sfm_core.testing.loopback import free_port

_START_SECONDS = 60
_CONFIGURATION = """
[databases]
* = host={host} port={server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
"""


@pytest.fixture(scope="session")
def through_pgbouncer(
    postgres_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """Return what turns the URL of a database into one that leads through PgBouncer."""
    given = os.environ.get("SFM_TEST_PGBOUNCER")  # noqa: TID251 - where the program is elsewhere
    program = given or shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("NOT TESTED: PgBouncer. Install pgbouncer, or set SFM_TEST_PGBOUNCER.")
    folder, port = tmp_path_factory.mktemp("pgbouncer"), free_port()
    server = urlsplit(postgres_url)
    _write(folder, port, host=str(server.hostname), server=server.port or 5432)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*as_nobody(), program, str(folder / "pgbouncer.ini")], stdout=log, stderr=log
        )

    def through(url: str) -> str:
        address = urlsplit(url).netloc.rpartition("@")[2]
        return url.replace(f"@{address}", f"@127.0.0.1:{port}")

    _wait(through(postgres_url), folder / "log")
    yield through
    process.send_signal(signal.SIGTERM)
    process.wait()


def _write(folder: Path, port: int, *, host: str, server: int) -> None:
    configuration = _CONFIGURATION.format(folder=folder, port=port, host=host, server=server)
    (folder / "pgbouncer.ini").write_text(configuration)
    (folder / "users").write_text('"postgres" "secret"\n')
    if os.geteuid() == 0:
        folder.chmod(0o755)


def _wait(url: str, log: Path) -> None:
    for _ in range(_START_SECONDS * 20):
        try:
            psycopg.connect(url, connect_timeout=5).close()
        except psycopg.OperationalError:
            signal.sigtimedwait([], 0.05)
        else:
            return
    pytest.fail(log.read_text())
