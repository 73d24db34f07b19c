"""Telling other processes that there is work, by LISTEN and NOTIFY.

A NOTIFY inside a commit would make all commits of a cluster wait for one lock.
So it is sent beside them, at most so often; whoever misses one looks in its
next round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import psycopg
from psycopg.pq import ConnStatus

from sfm_backend_postgres._sessions import keeps_its_session
from sfm_backend_postgres._types import Connection
from sfm_backend_postgres._variables import SCHEME
from sfm_core.errors import BackendUnavailableError, SfmError, UnsupportedError

# At most one notification in this time.
_GAP_SECONDS = 0.2
# What is further off is found by the rounds of whoever looks.
_FORESEEN = timedelta(seconds=60)
_LISTEN = b"LISTEN sfm_work"


class Announcer:
    """Tells every process that listens, this one too, that there may be work."""

    def __init__(self, notify: Callable[[], Awaitable[object]]) -> None:
        """Have it sent by `notify`."""
        self._notify = notify
        self._running: asyncio.Task[None] | None = None
        self._again = False
        self._later: set[asyncio.TimerHandle] = set()

    def announce(self, *, after: timedelta = timedelta()) -> None:
        """Tell it soon, without waiting for it.

        Args:
            after: When the work can be taken.
        """
        if after > _FORESEEN:
            return
        if after > timedelta():
            loop = asyncio.get_running_loop()
            self._later = {handle for handle in self._later if handle.when() > loop.time()}
            self._later.add(loop.call_later(after.total_seconds(), self.announce))
            return
        self._again = True
        if self._running is None:
            self._running = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Tell nothing more."""
        for handle in self._later:
            handle.cancel()
        self._later.clear()
        running, self._running = self._running, None
        if running is not None:
            running.cancel()
            await asyncio.wait({running})

    async def _run(self) -> None:
        while self._again:
            self._again = False
            # Nobody waits for it; who is not told looks in the next round.
            with suppress(SfmError):
                await self._notify()
            await asyncio.sleep(_GAP_SECONDS)
        self._running = None


class Listener:
    """A connection of its own, on which others tell that there is work."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]], *, wanted: bool) -> None:
        """Connect with `connect`, where it is wanted."""
        self._connect = connect
        self._wanted = wanted
        self._connection: Connection | None = None

    async def wait(self) -> None:
        """Wait until somebody tells it; see `SupportsWaking.wait_for_work`.

        Raises:
            UnsupportedError: It is not wanted, or the server cannot keep a
                session for it.
            BackendUnavailableError: The connection was lost or could not be made.
        """
        connection = self._connection
        if connection is None:
            self._connection = await self._begin()
            # What came before it listened may have been missed.
            return
        try:
            while not _told(connection):
                await _readable(connection.pgconn.socket)
        except psycopg.Error as error:
            await self.close()
            raise BackendUnavailableError(
                "The connection on which others tell of work was lost.",
                backend=SCHEME,
                remedy="Check that the PostgreSQL server runs and is reachable from here.",
            ) from error

    async def close(self) -> None:
        """Listen no more."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _begin(self) -> Connection:
        if not self._wanted:
            raise _unsupported()
        connection = await self._connect()
        try:
            self._wanted = await keeps_its_session(connection)
            if self._wanted:
                await connection.execute(_LISTEN)
                return connection
        except BaseException:
            await connection.close()
            raise
        await connection.close()
        raise _unsupported()


def _unsupported() -> UnsupportedError:
    return UnsupportedError(
        "Nobody can be told of work through a pooler that shares sessions.",
        backend=SCHEME,
        remedy="Nothing is lost: it is found in the next round.",
    )


def _told(connection: Connection) -> bool:
    raw = connection.pgconn
    raw.consume_input()
    if raw.status != ConnStatus.OK:
        raise psycopg.OperationalError("the server has closed the connection")
    told = False
    while raw.notifies() is not None:
        told = True
    return told


async def _readable(socket: int) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(socket, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(socket)
