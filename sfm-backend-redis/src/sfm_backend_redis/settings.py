"""What can be chosen about a Redis or Valkey, and how a URL says it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from sfm_core.errors import ConfigurationError

DEFAULT_PORT: Final = 6379
SENTINEL_PORT: Final = 26379
PASSWORD_OPTION: Final = "REDIS_PASSWORD"  # noqa: S105 - the name of a variable
_LONGEST_SECONDS: Final = 3600

# Attributes that variables give where the URL does not.
_LOGIN: Final = {"username": "REDIS_USERNAME", "password": PASSWORD_OPTION}
SENTINEL_LOGIN: Final = {
    "sentinel_username": "REDIS_SENTINEL_USERNAME",
    "sentinel_password": "REDIS_SENTINEL_PASSWORD",
}
_TLS_FILES: Final = {
    "ca_file": "REDIS_TLS_CA_FILE",
    "cert_file": "REDIS_TLS_CERT_FILE",
    "key_file": "REDIS_TLS_KEY_FILE",
}

_PREFIX = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_REMEDY = (
    "Write redis://host:6379/0, rediss://host:6380/0 for TLS, redis+unix:///path/to/socket, "
    "redis+sentinel://host:26379,host:26379/service/0 or redis+cluster://host:6379,host:6379, "
    "with ?durability=memory|aof|replicas, &prefix=sfm, &timeout_seconds=5 and so on where wanted."
)


class Form(StrEnum):
    """How a Redis is reached; the values are the URL schemes."""

    PLAIN = "redis"
    TLS = "rediss"
    UNIX = "redis+unix"
    SENTINEL = "redis+sentinel"
    CLUSTER = "redis+cluster"


class Durability(StrEnum):
    """What the acknowledgement of a commit means.

    Attributes:
        MEMORY: The server has it in memory. What a crash of the server loses
            depends on its own configuration.
        AOF: The server has also synced it to its append-only file.
        REPLICAS: As many replicas as asked for have it in memory too.
    """

    MEMORY = "memory"
    AOF = "aof"
    REPLICAS = "replicas"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a server listens.

    Attributes:
        host: Name or IP address.
        port: TCP port.
    """

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisSettings:
    """How one Redis is used.

    Attributes:
        form: How it is reached.
        addresses: The server, the sentinels, or some nodes of the cluster;
            none with a Unix socket.
        path: The Unix socket, or nothing.
        service: Name of the service that the sentinels watch, or nothing.
        database: Number of the logical database; a cluster has only 0.
        username: Who logs in, or nothing.
        password: The password, or nothing.
        sentinel_username: Who logs in at the sentinels, or nothing.
        sentinel_password: The password of the sentinels, or nothing.
        tls: Whether connections are encrypted.
        ca_file: Certificates to trust in place of the system's.
        cert_file: Certificate of this client.
        key_file: Its private key.
        prefix: What all keys begin with. Stores of different prefixes share a
            server without seeing each other.
        durability: What the acknowledgement of a commit means.
        replicas: How many replicas must have a commit, with `REPLICAS`.
        timeout: How long to wait for an answer.
        connect_timeout: How long to wait for a connection.
        max_connections: Most connections of the ports of an engine with these settings.
    """

    form: Form = Form.PLAIN
    addresses: tuple[Address, ...] = ()
    path: str = ""
    service: str = ""
    database: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)
    tls: bool = False
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    prefix: str = "sfm"
    durability: Durability = Durability.MEMORY
    replicas: int = 1
    timeout: timedelta = timedelta(seconds=5)
    connect_timeout: timedelta = timedelta(seconds=3)
    max_connections: int = 32

    @property
    def place(self) -> str:
        """Where it is, for messages; without credentials."""
        where = self.path or ",".join(map(str, self.addresses))
        return f"{self.form}://{where}"

    @classmethod
    def parse(cls, url: str, options: Mapping[str, str]) -> RedisSettings:
        """Read a URL.

        Args:
            url: One of the forms in this package's README.
            options: Variables for what the URL does not say: see `completed`.

        Returns:
            The settings.

        Raises:
            ConfigurationError: The URL is malformed or has an unknown option,
                or an option has an impossible value.
        """
        parts = _split(url)
        form = Form(parts.scheme)
        credentials, _, hosts = parts.netloc.rpartition("@")
        username, _, password = credentials.partition(":")
        settings = cls(
            form=form,
            addresses=_addresses(hosts, SENTINEL_PORT if form is Form.SENTINEL else DEFAULT_PORT),
            username=unquote(username),
            password=unquote(password),
            tls=form is Form.TLS,
        )
        return _with_path(settings, unquote(parts.path)).with_query(parts.query).completed(options)

    def with_query(self, query: str) -> RedisSettings:
        """Return these settings with what stands after the question mark of a URL.

        Args:
            query: Options as a URL has them; none where it is empty.

        Returns:
            The settings.

        Raises:
            ConfigurationError: An option is unknown or has an impossible value.
        """
        settings = self
        for name, value in _pairs(query):
            settings = _with_option(settings, name, value)
        return settings

    def completed(self, options: Mapping[str, str]) -> RedisSettings:
        """Return these settings with logins and certificates from variables where there are none.

        Args:
            options: `REDIS_USERNAME`, `REDIS_PASSWORD`, with sentinels also
                `REDIS_SENTINEL_USERNAME` and `REDIS_SENTINEL_PASSWORD`, and with
                TLS `REDIS_TLS_CA_FILE`, `REDIS_TLS_CERT_FILE` and `REDIS_TLS_KEY_FILE`.

        Returns:
            The settings.
        """
        wanted = _LOGIN
        if self.form is Form.SENTINEL:
            wanted = wanted | SENTINEL_LOGIN
        if self.tls:
            wanted = wanted | _TLS_FILES
        given = {name: options.get(variable, "") for name, variable in wanted.items()}
        return _replaced(self, **{n: v for n, v in given.items() if v and not getattr(self, n)})


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        # Its message may quote the password.
        raise ConfigurationError("The Redis URL is malformed.", remedy=_REMEDY) from None
    if parts.fragment or parts.scheme not in set(Form):
        raise ConfigurationError("The Redis URL is not of a known form.", remedy=_REMEDY)
    return parts


def _addresses(hosts: str, default: int) -> tuple[Address, ...]:
    return tuple(_address(host, default) for host in hosts.split(",") if host)


def _address(host: str, default: int) -> Address:
    try:
        parts = urlsplit(f"//{host}")
        port = parts.port or default
    except ValueError:
        # What stands there may be half of a password with a slash in it.
        raise ConfigurationError(
            "A host of the Redis URL has no possible port, or the password has a character "
            "that must be percent-encoded.",
            remedy=_REMEDY,
        ) from None
    if not parts.hostname:
        raise ConfigurationError("The Redis URL has a port without a host.", remedy=_REMEDY)
    return Address(host=parts.hostname, port=port)


def _with_path(settings: RedisSettings, path: str) -> RedisSettings:
    if settings.form is Form.UNIX:
        if settings.addresses or not path.startswith("/"):
            raise ConfigurationError("A Unix socket is an absolute path.", remedy=_REMEDY)
        return replace(settings, path=path)
    if not settings.addresses:
        settings = replace(settings, addresses=_addresses("localhost", DEFAULT_PORT))
    first, *rest = [part for part in path.split("/") if part] or [""]
    if settings.form is Form.SENTINEL:
        settings = replace(settings, service=first)
        first = rest.pop(0) if rest else ""
        if not settings.service:
            raise ConfigurationError("The URL names no service of the sentinels.", remedy=_REMEDY)
    several = settings.form in {Form.PLAIN, Form.TLS} and len(settings.addresses) > 1
    if several or rest or not (first or "0").isdecimal():
        raise ConfigurationError("The Redis URL is not of a known form.", remedy=_REMEDY)
    if settings.form is Form.CLUSTER and first not in {"", "0"}:
        raise ConfigurationError("A Redis cluster has only database 0.", remedy=_REMEDY)
    return replace(settings, database=int(first or "0"))


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise ConfigurationError("The Redis URL has a malformed query.", remedy=_REMEDY) from None


def _with_option(settings: RedisSettings, name: str, value: str) -> RedisSettings:
    changed = _with_text(settings, name, value)
    if changed is None:
        changed = _with_number(settings, name, value)
    if changed is None:
        raise ConfigurationError(
            f"The Redis option {name} is unknown here, or cannot have the value it is given.",
            setting=name,
            remedy=_REMEDY,
        )
    return changed


# For options that are called as their attributes are.
_replaced = cast(Callable[..., RedisSettings], replace)


def _with_text(settings: RedisSettings, name: str, value: str) -> RedisSettings | None:
    match name:
        case "ca_file" | "cert_file" | "key_file":
            return _replaced(settings, **{name: value})
        case "durability" if value in set(Durability):
            return replace(settings, durability=Durability(value))
        case "prefix" if _PREFIX.fullmatch(value):
            return replace(settings, prefix=value)
        case "tls" if value in {"true", "false"} and settings.form in {Form.SENTINEL, Form.CLUSTER}:
            return replace(settings, tls=value == "true")
        case "username" | "password" if settings.form is Form.UNIX:
            # Where a socket has no place for them, the driver and others write them so.
            return _replaced(settings, **{name: value})
        case _:
            return None


def _with_number(settings: RedisSettings, name: str, value: str) -> RedisSettings | None:
    match name:
        case "timeout_seconds" if duration := _duration(value):
            return replace(settings, timeout=duration)
        case "connect_timeout_seconds" if duration := _duration(value):
            return replace(settings, connect_timeout=duration)
        case "max_connections" | "replicas" if value.isdecimal() and int(value):
            return _replaced(settings, **{name: int(value)})
        case "db" if value.isdecimal() and settings.form is Form.UNIX:
            return replace(settings, database=int(value))
        case _:
            return None


def _duration(value: str) -> timedelta | None:
    try:
        seconds = float(value)
    except ValueError:
        return None
    return timedelta(seconds=seconds) if 0 < seconds <= _LONGEST_SECONDS else None
