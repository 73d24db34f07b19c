"""Connections to a Redis, and the scripts that run on it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import astuple, dataclass
from functools import cache
from importlib.resources import files
from typing import cast

from redis import exceptions

from sfm_backend_redis._connect import Argument, Link, connect
from sfm_backend_redis._errors import translated
from sfm_backend_redis.settings import Durability, Form, RedisSettings
from sfm_core.errors import BackendUnavailableError, ConfigurationError
from sfm_core.porting import SharedResource
from sfm_core.registry import BackendContext

# A server looks at the waiting ones ten times a second.
_SPARE_SECONDS = 0.5


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


class RedisClient(SharedResource):
    """One pool of connections, for all ports of an engine that have the same settings.

    The driver never repeats a command by itself: a commit whose answer was
    lost may have happened. Repeating is left to whoever knows what is safe.
    """

    def __init__(self, settings: RedisSettings) -> None:
        super().__init__()
        self.settings = settings
        self._link: Link | None = None
        self._waits = settings.durability is not Durability.MEMORY

    async def _take(self, stack: AsyncExitStack) -> None:
        self._link = link = connect(self.settings)
        stack.push_async_callback(link.close)
        stack.callback(self._forget)
        # Makes sure that there is a server, and that it takes the login.
        await self.command("PING")

    def _forget(self) -> None:
        self._link = None

    async def command(self, *arguments: Argument) -> object:
        """Send one command.

        Args:
            arguments: The command and what it is about.

        Returns:
            The answer.

        Raises:
            SfmError: The driver's error in our terms.
        """
        with self._driving():
            return await self._opened.send(*arguments)

    async def node_command(self, key: str, *arguments: Argument) -> object:
        """Send a command that names no key to the server that holds one."""
        with self._driving():
            return await self._opened.send_to_holder(key, *arguments)

    async def run(
        self, name: str, keys: Sequence[str | bytes], arguments: Sequence[Argument]
    ) -> object:
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
        with self._driving():
            try:
                return await self._opened.send("EVALSHA", script.digest, *given)
            except exceptions.NoScriptError:
                return await self._opened.send("EVAL", script.text, *given)

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
        if not self._waits:
            return await self.run(name, keys, arguments)
        wait = self._wait()
        script = self.script(name)
        given = (len(keys), *keys, *arguments)
        with self._driving():
            answer, reached = await self._opened.send_all(("EVALSHA", script.digest, *given), wait)
            if isinstance(answer, exceptions.NoScriptError):
                answer, reached = await self._opened.send_all(("EVAL", script.text, *given), wait)
            if isinstance(answer, exceptions.RedisError):
                raise answer
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
    def _opened(self) -> Link:
        assert self._link is not None, "ports check that they are open"  # noqa: S101
        return self._link

    def _wait(self) -> tuple[Argument, ...]:
        # The server gives up before the driver does, so that the connection stays usable.
        seconds = self.settings.timeout.total_seconds()
        milliseconds = int(max(seconds / 2, seconds - _SPARE_SECONDS) * 1000)
        if self.settings.durability is Durability.AOF:
            return ("WAITAOF", 1, 0, milliseconds)
        return ("WAIT", self.settings.replicas, milliseconds)

    def _check_reached(self, reached: object) -> None:
        cause = reached if isinstance(reached, exceptions.RedisError) else None
        if cause is not None:
            enough = False
        elif self.settings.durability is Durability.AOF:
            enough = cast(list[int], reached)[0] >= 1
        else:
            enough = cast(int, reached) >= self.settings.replicas
        if not enough:
            raise BackendUnavailableError(
                f"{self.settings.place} has the commit, but not yet as durable as "
                f"?durability={self.settings.durability} asks for.",
                backend=self.settings.form.value,
                remedy="See its disk and its replicas.",
            ) from cause

    async def _check_aof(self) -> None:
        with self._driving():
            try:
                await self._opened.send("WAITAOF", 1, 0, 1)
            except exceptions.NoPermissionError:
                raise
            except exceptions.ResponseError as error:
                if await self._syncs_before_it_answers():
                    self._waits = False
                    return
                raise ConfigurationError(
                    f"{self.settings.place} cannot confirm that commits are on disk: {error}.",
                    setting="durability",
                    remedy="Use Redis 7.2 or later, or Valkey, with appendonly yes; or an older "
                    "one with appendfsync always, too; or ?durability=memory.",
                ) from error

    async def _syncs_before_it_answers(self) -> bool:
        answer = await self._opened.send("CONFIG GET", "append*")
        found = cast(dict[bytes | str, bytes | str], answer)
        settings = {_text(name): _text(value) for name, value in found.items()}
        return (settings.get("appendonly"), settings.get("appendfsync")) == ("yes", "always")

    @contextmanager
    def _driving(self) -> Generator[None]:
        task = asyncio.current_task()
        before = task.cancelling() if task else 0
        with translated(self.settings):
            yield
        # Python 3.11's `wait_for`, which the driver uses, may swallow a cancellation.
        if task and task.cancelling() > before:
            raise asyncio.CancelledError


def shared_client(settings: RedisSettings, context: BackendContext) -> RedisClient:
    """Return the one client that all ports of an engine use which have the same settings.

    Args:
        settings: What the URL and the variables say.
        context: Context of the engine.

    Returns:
        The client, not opened on behalf of the caller.
    """
    # Of the password only a digest, as the name may be shown.
    name = hashlib.sha256(repr(astuple(settings)).encode()).hexdigest()
    return context.share(f"sfm_backend_redis:{name}", lambda: RedisClient(settings))


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
