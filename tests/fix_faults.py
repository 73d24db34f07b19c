"""A server in a mode whose every store stands behind a proxy and can be killed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Protocol, TypeAlias

import psutil
import pytest_asyncio
import redis_server
from postgres_server import PostgresServer, wheel_binaries
from redis_helpers import with_options

from sfm_core.testing.proxy import TcpProxy
from tests.fix_modes import Stores, new_prefix
from tests.fix_server import ServerProcess
from tests.fix_services import ALWAYS

_DOWN_SECONDS = 1.0
_LOST_REPLIES = 4

Fault: TypeAlias = Callable[[], Awaitable[None]]


class Mortal(Protocol):
    """A server of a store."""

    def start(self) -> None: ...

    def kill(self) -> None: ...


class Fortress:
    """A server, and the stores behind it.

    Attributes:
        server: The server itself, which runs.
    """

    def __init__(self, server: ServerProcess) -> None:
        self.server = server
        self._stores: list[tuple[Mortal, TcpProxy]] = []

    def add(self, store: Mortal, proxy: TcpProxy) -> None:
        """Put a store behind it."""
        self._stores.append((store, proxy))

    def faults(self, *, hole_seconds: float) -> list[Fault]:
        """Return the worst that can happen to each store."""
        found: list[Fault] = [self._kill_workers]
        for store, proxy in self._stores:
            found.append(partial(_die, store))
            found.append(partial(_swallow, proxy, hole_seconds))
            found.append(partial(_lose_replies, proxy))
        return found

    def more_faults(self, *, hole_seconds: float) -> list[Fault]:
        """Return what else can happen to each store."""
        found: list[Fault] = []
        for _, proxy in self._stores:
            found.append(partial(_lose, proxy, hole_seconds))
            found.append(partial(_cut_requests, proxy))
        return found

    async def _kill_workers(self) -> None:
        for worker in psutil.Process(self.server.process_id).children(recursive=True):
            # One that is dead already has told nothing but its number.
            with suppress(psutil.NoSuchProcess):
                # What only frees shared memory at the end serves nothing.
                if "resource_tracker" not in " ".join(worker.cmdline()):
                    worker.kill()


async def _die(store: Mortal) -> None:
    await asyncio.to_thread(store.kill)
    await asyncio.sleep(_DOWN_SECONDS)
    await asyncio.to_thread(store.start)


async def _swallow(proxy: TcpProxy, seconds: float) -> None:
    proxy.black_hole()
    await asyncio.sleep(seconds)
    await proxy.pass_through()


async def _lose(proxy: TcpProxy, seconds: float) -> None:
    proxy.black_hole()
    await asyncio.sleep(seconds)
    await proxy.reset_all()
    await proxy.pass_through()


async def _lose_replies(proxy: TcpProxy) -> None:
    proxy.cut_answers(times=_LOST_REPLIES)
    await asyncio.sleep(_DOWN_SECONDS)
    await proxy.pass_through()


async def _cut_requests(proxy: TcpProxy) -> None:
    proxy.cut_requests(after=100, times=_LOST_REPLIES)
    await asyncio.sleep(_DOWN_SECONDS)
    await proxy.pass_through()


@pytest_asyncio.fixture
async def fortress(mode: str, stores: Stores, tmp_path: Path) -> AsyncIterator[Fortress]:
    """A running server in the mode of this test, with stores that only it uses."""
    async with AsyncExitStack() as stack:
        redis = redis_server.Server(_folder(tmp_path, "redis"), ALWAYS)
        stack.callback(redis.stop)
        await asyncio.to_thread(redis.start)
        redis_proxy = await stack.enter_async_context(TcpProxy.before(redis.url))
        variables = {
            "MEMORY_MODE": mode,
            **stores.kafka(),
            "REDIS_URL": with_options(redis_proxy.url, new_prefix()),
            **stores.qdrant.variables(secure=False),
        }
        behind: list[tuple[Mortal, TcpProxy]] = [(redis, redis_proxy)]
        if mode != "development":
            postgres = PostgresServer(_folder(tmp_path, "postgres"), wheel_binaries())
            stack.callback(postgres.discard)
            await asyncio.to_thread(postgres.start)
            postgres_proxy = await stack.enter_async_context(TcpProxy.before(postgres.url))
            variables["POSTGRES_URL"] = postgres_proxy.url
            behind.append((postgres, postgres_proxy))
        server = ServerProcess(_folder(tmp_path, "server"), variables)
        stack.callback(server.close)
        await server.start()
        fortress = Fortress(server)
        for store, proxy in behind:
            fortress.add(store, proxy)
        yield fortress


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder
