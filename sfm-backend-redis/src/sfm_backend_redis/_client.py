"""Connections to a Redis, and the scripts that run on it."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Protocol, TypeAlias, cast

from redis import exceptions
from redis.asyncio import BlockingConnectionPool, Connection, Redis, SSLConnection
from redis.asyncio import UnixDomainSocketConnection
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel
from redis.backoff import NoBackoff

from sfm_backend_redis._errors import translated
from sfm_backend_redis.settings import Durability, Form, RedisSettings
from sfm_core.errors import BackendUnavailableError, ConfigurationError

Argument: TypeAlias = bytes | str | int


class Driver(Protocol):
    """What is used of the driver's clients."""

    def execute_command(self, *arguments: Argument) -> Awaitable[object]:
        """Send one command."""
        ...

    async def aclose(self) -> None:
        """Close all connections."""
        ...


class Pipeline(Protocol):
    """Commands that go through one connection together."""

    def execute_command(self, *arguments: Argument) -> object:
        """Add a command."""
        ...

    async def execute(self) -> list[object]:
        """Send all, and return what each answered; the first error is raised."""
        ...


@dataclass(frozen=True, slots=True)
class Script:
    """A Lua script.

    Attributes:
        text: Its source.
        digest: The name under which a server keeps it.
    """

    text: bytes
    digest: str

    @classmethod
    def of(cls, text: bytes) -> Script:
        """Return the script with its digest."""
        return cls(text, hashlib.sha1(text, usedforsecurity=False).hexdigest())


@cache
def shipped_script(name: str) -> Script:
    """Read a script of this package."""
    return Script.of((files("sfm_backend_redis") / "lua" / f"{name}.lua").read_bytes())


class RedisClient:
    """One pool of connections.

    The driver never repeats a command by itself: a commit whose answer was
    lost may have happened. Repeating is left to whoever knows what is safe.
    """

    def __init__(self, settings: RedisSettings) -> None:
        self.settings = settings
        self._driver: Driver | None = None
        self._sentinel: Sentinel | None = None

    async def open(self) -> None:
        """Connect, and make sure that there is a server.

        Raises:
            SfmError: It cannot be reached, or refuses the login.
        """
        self._driver = self._connected()
        try:
            await self.command("PING")
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every connection."""
        driver, self._driver = self._driver, None
        sentinel, self._sentinel = self._sentinel, None
        if driver is not None:
            await driver.aclose()
        if sentinel is not None:
            for watcher in cast(list[Driver], sentinel.sentinels):
                await watcher.aclose()

    async def command(self, *arguments: Argument) -> object:
        """Send one command.

        Args:
            arguments: The command and what it is about.

        Returns:
            The answer.

        Raises:
            SfmError: The driver's error in our terms.
        """
        with translated(self.settings):
            return await self._opened.execute_command(*arguments)

    async def node_command(self, key: str, *arguments: Argument) -> object:
        """Send a command that names no key to the server that holds one."""
        driver = self._opened
        if not isinstance(driver, RedisCluster):
            return await self.command(*arguments)
        with translated(self.settings):
            node = driver.get_node_from_key(key)
            send = cast("_Targeted", driver).execute_command
            return await send(*arguments, target_nodes=node)

    async def run(self, name: str, keys: Sequence[str | bytes], arguments: Sequence[Argument]) -> object:
        """Run a script.

        Args:
            name: Its file name without the ending.
            keys: Keys that it touches.
            arguments: What it is given.

        Returns:
            Its answer.

        Raises:
            SfmError: The driver's error in our terms.
        """
        script = self.script(name)
        given = (len(keys), *keys, *arguments)
        with translated(self.settings):
            try:
                return await self._opened.execute_command("EVALSHA", script.digest, *given)
            except exceptions.NoScriptError:
                return await self._opened.execute_command("EVAL", script.text, *given)

    async def run_durably(
        self, name: str, keys: Sequence[str | bytes], arguments: Sequence[Argument]
    ) -> object:
        """Run a script, and wait until its writes are as durable as the settings say.

        Args:
            name: Its file name without the ending.
            keys: Keys that it touches.
            arguments: What it is given.

        Returns:
            Its answer.

        Raises:
            BackendUnavailableError: The writes happened, but are not that
                durable, or not yet.
            SfmError: The driver's error in our terms.
        """
        wait = self._wait()
        if not wait:
            return await self.run(name, keys, arguments)
        script = self.script(name)
        given = (len(keys), *keys, *arguments)
        with translated(self.settings):
            try:
                answer, reached = await self._pipe(("EVALSHA", script.digest, *given), wait)
            except exceptions.NoScriptError:
                answer, reached = await self._pipe(("EVAL", script.text, *given), wait)
        self._check_reached(reached)
        return answer

    async def check_durability(self) -> None:
        """Make sure that the server can keep what the settings promise.

        Raises:
            ConfigurationError: It cannot.
            SfmError: The driver's error in our terms.
        """
        if self.settings.durability is Durability.MEMORY:
            return
        if self.settings.form is Form.CLUSTER:
            raise ConfigurationError(
                f"?durability={self.settings.durability} is not possible on a cluster.",
                setting="durability",
                remedy="Use ?durability=memory, with appendfsync always on its nodes.",
            )
        if self.settings.durability is Durability.AOF:
            await self._check_aof()

    def script(self, name: str) -> Script:
        """Return the script of a name."""
        return shipped_script(name)

    @property
    def _opened(self) -> Driver:
        assert self._driver is not None, "ports check that they are open"  # noqa: S101
        return self._driver

    def _wait(self) -> tuple[Argument, ...]:
        # The server gives up before the driver does, so that the connection stays usable.
        milliseconds = int(self.settings.timeout.total_seconds() * 800)
        match self.settings.durability:
            case Durability.AOF:
                return ("WAITAOF", 1, 0, milliseconds)
            case Durability.REPLICAS:
                return ("WAIT", self.settings.replicas, milliseconds)
            case Durability.MEMORY:
                return ()

    async def _pipe(self, *commands: tuple[Argument, ...]) -> list[object]:
        driver = cast(Redis, self._opened)
        async with driver.pipeline(transaction=False) as opened:
            pipeline = cast(Pipeline, opened)
            for command in commands:
                pipeline.execute_command(*command)
            return await pipeline.execute()

    def _check_reached(self, reached: object) -> None:
        if self.settings.durability is Durability.AOF:
            enough = cast(list[int], reached)[0] >= 1
        else:
            enough = cast(int, reached) >= self.settings.replicas
        if not enough:
            raise BackendUnavailableError(
                f"{self.settings.place} has the commit, but not yet as durable as "
                f"?durability={self.settings.durability} asks for.",
                backend=self.settings.form.value,
                remedy="See its disk and its replicas.",
            )

    async def _check_aof(self) -> None:
        try:
            await self._opened.execute_command("WAITAOF", 1, 0, 1)
        except exceptions.ResponseError as error:
            raise ConfigurationError(
                f"{self.settings.place} cannot confirm that commits are on disk: {error}.",
                setting="durability",
                remedy="Use Redis 7.2 or later, or Valkey, with appendonly yes; or "
                "?durability=memory.",
            ) from error
        except (exceptions.RedisError, OSError) as error:
            with translated(self.settings):
                raise error from None

    def _connected(self) -> Driver:
        settings = self.settings
        if settings.form is Form.CLUSTER:
            return self._cluster()
        if settings.form is Form.SENTINEL:
            return self._watched()
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
        pool = BlockingConnectionPool(
            max_connections=settings.max_connections,
            timeout=settings.timeout.total_seconds(),
            connection_class=kind,
            **options,
        )
        return cast(Driver, Redis.from_pool(pool))

    def _cluster(self) -> Driver:
        settings = self.settings
        nodes = [ClusterNode(each.host, each.port) for each in settings.addresses]
        options = _options(settings) | _tls(settings)
        del options["db"]
        return cast(
            Driver,
            RedisCluster(
                startup_nodes=nodes,
                ssl=settings.tls,
                max_connections=settings.max_connections,
                **options,
            ),
        )

    def _watched(self) -> Driver:
        settings = self.settings
        options = _options(settings)
        if settings.tls:
            options |= {"ssl": True, **_tls(settings)}
        patience = {
            "socket_timeout": settings.timeout.total_seconds(),
            "socket_connect_timeout": settings.connect_timeout.total_seconds(),
        }
        self._sentinel = Sentinel(
            [(each.host, each.port) for each in settings.addresses], sentinel_kwargs=patience
        )
        return cast(Driver, self._sentinel.master_for(settings.service, **options))


class _Targeted(Protocol):
    def execute_command(self, *arguments: Argument, target_nodes: object) -> Awaitable[object]: ...


def _options(settings: RedisSettings) -> dict[str, object]:
    return {
        "db": settings.database,
        "username": settings.username or None,
        "password": settings.password or None,
        "socket_timeout": settings.timeout.total_seconds(),
        "socket_connect_timeout": settings.connect_timeout.total_seconds(),
        "retry": Retry(NoBackoff(), 0),
    }


def _tls(settings: RedisSettings) -> dict[str, object]:
    return {
        "ssl_ca_certs": settings.ca_file or None,
        "ssl_certfile": settings.cert_file or None,
        "ssl_keyfile": settings.key_file or None,
    }
