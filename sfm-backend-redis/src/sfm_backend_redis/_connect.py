"""Making the driver's clients, and the little of them that is used."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias, cast

from redis.asyncio import (
    Connection,
    ConnectionPool,
    Redis,
    SSLConnection,
    UnixDomainSocketConnection,
)
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from sfm_backend_redis.settings import Form, RedisSettings

_LOG = logging.getLogger(__name__)

Argument: TypeAlias = bytes | str | int


class _Closing(Protocol):
    async def aclose(self) -> None: ...


class _Pipeline(Protocol):
    def execute_command(self, *arguments: Argument) -> object: ...

    async def execute(self, *, raise_on_error: bool) -> list[object]: ...


class _Driver(_Closing, Protocol):
    def execute_command(self, *arguments: Argument) -> Awaitable[object]: ...

    def pipeline(self, *, transaction: bool) -> AbstractAsyncContextManager[_Pipeline]: ...


class _Cluster(_Driver, Protocol):
    def get_node_from_key(self, key: str) -> object: ...


class _Targeted(Protocol):
    def execute_command(self, *arguments: Argument, target_nodes: object) -> Awaitable[object]: ...


class _Sentinel(Protocol):
    @property
    def sentinels(self) -> list[_Closing]: ...

    # The driver's options are many and of many types.
    master_for: Callable[..., _Driver]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A client of the driver, and what has to be closed with it.

    Attributes:
        driver: The client.
        watchers: Clients of the sentinels.
        spread: Whether it speaks to a cluster.
        gate: Lets as many calls through as there may be connections, because
            the driver's pools fail instead of waiting.
    """

    driver: _Driver
    gate: asyncio.Semaphore
    watchers: tuple[_Closing, ...] = ()
    spread: bool = False

    async def send(self, *arguments: Argument) -> object:
        """Send one command."""
        async with self.gate:
            return await self.driver.execute_command(*arguments)

    async def send_all(self, *commands: tuple[Argument, ...]) -> list[object]:
        """Send several commands through one connection; a refused one is answered by its error."""
        async with self.gate, self.driver.pipeline(transaction=False) as pipeline:
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute(raise_on_error=False)

    async def send_to_holder(self, key: str, *arguments: Argument) -> object:
        """Send a command that names no key to the server that holds one."""
        if not self.spread:
            return await self.send(*arguments)
        node = cast(_Cluster, self.driver).get_node_from_key(key)
        send = cast(_Targeted, self.driver).execute_command
        async with self.gate:
            return await send(*arguments, target_nodes=node)

    async def close(self) -> None:
        """Close every connection, also where a server no longer takes leave."""
        for each in (self.driver, *self.watchers):
            try:
                await each.aclose()
            except RedisError as error:
                # Over TLS it is waited for the other side; then the connection is left to end.
                _LOG.warning("a connection was not closed in time: %s", type(error).__name__)


def connect(settings: RedisSettings) -> Link:
    """Make a client; it connects when it is used.

    Args:
        settings: Whom to speak to, and how.

    Returns:
        The client.
    """
    match settings.form:
        case Form.CLUSTER:
            return _to_cluster(settings)
        case Form.SENTINEL:
            return _to_watched(settings)
        case Form.PLAIN | Form.TLS | Form.UNIX:
            return _to_server(settings)


def _to_server(settings: RedisSettings) -> Link:
    options = _options(settings)
    kind: type[Connection | UnixDomainSocketConnection] = Connection
    if settings.form is Form.UNIX:
        kind = UnixDomainSocketConnection
        options["path"] = settings.path
    else:
        kind = SSLConnection if settings.tls else Connection
        options["host"] = settings.addresses[0].host
        options["port"] = settings.addresses[0].port
        options |= _tls(settings) if settings.tls else {}
    make = cast(Callable[..., ConnectionPool], ConnectionPool)
    pool = make(max_connections=settings.max_connections, connection_class=kind, **options)
    return Link(driver=cast(_Driver, Redis.from_pool(pool)), gate=_gate(settings))


def _to_cluster(settings: RedisSettings) -> Link:
    options = _without_database(_options(settings)) | _tls(settings)
    make = cast(Callable[..., _Driver], RedisCluster)
    driver = make(
        startup_nodes=[ClusterNode(each.host, each.port) for each in settings.addresses],
        ssl=settings.tls,
        max_connections=settings.max_connections,
        **options,
    )
    return Link(driver=driver, spread=True, gate=_gate(settings))


def _to_watched(settings: RedisSettings) -> Link:
    options = _options(settings)
    if settings.tls:
        options |= {"ssl": True, **_tls(settings)}
    make = cast(Callable[..., _Sentinel], Sentinel)
    sentinel = make(
        [(each.host, each.port) for each in settings.addresses],
        sentinel_kwargs=_without_database(options) | _sentinel_login(settings),
    )
    driver = sentinel.master_for(settings.service, **options)
    return Link(driver=driver, watchers=tuple(sentinel.sentinels), gate=_gate(settings))


def _gate(settings: RedisSettings) -> asyncio.Semaphore:
    return asyncio.Semaphore(settings.max_connections)


def _without_database(options: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if name != "db"}


def _sentinel_login(settings: RedisSettings) -> dict[str, object]:
    return {
        "username": settings.sentinel_username or None,
        "password": settings.sentinel_password or None,
    }


def _options(settings: RedisSettings) -> dict[str, object]:
    return {
        "db": settings.database,
        "username": settings.username or None,
        "password": settings.password or None,
        "socket_timeout": settings.timeout.total_seconds(),
        "socket_connect_timeout": settings.connect_timeout.total_seconds(),
        # A commit whose answer was lost may have happened: repeating is not the driver's.
        "retry": Retry(NoBackoff(), 0),
        # With these on, redis-py 8.1 hands out connections that the server has closed
        # (https://github.com/redis/redis-py/pull/4260), and they cost a round trip each.
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


def _tls(settings: RedisSettings) -> dict[str, object]:
    return {
        "ssl_ca_certs": settings.ca_file or None,
        "ssl_certfile": settings.cert_file or None,
        "ssl_keyfile": settings.key_file or None,
    }
