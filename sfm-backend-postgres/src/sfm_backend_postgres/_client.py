"""Connections to one database, and what is done on them."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, suppress
from selectors import EVENT_READ, DefaultSelector
from typing import TypeAlias, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg.pq import ConnStatus
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from sfm_backend_postgres._errors import is_lost, is_repeatable, translate, translate_login
from sfm_backend_postgres._extension import prepare_vectors
from sfm_backend_postgres._schema import migrate
from sfm_backend_postgres._sessions import set_up
from sfm_backend_postgres._statements import statements
from sfm_backend_postgres._types import Connection, Pool
from sfm_backend_postgres._waking import Announcer, Listener
from sfm_backend_postgres.settings import PostgresSettings
from sfm_core.porting import SharedResource
from sfm_core.registry import BackendContext

AnswerT = TypeVar("AnswerT")

Work: TypeAlias = Callable[[Connection], Awaitable[AnswerT]]
Parameters: TypeAlias = Mapping[str, object]

_NOTIFY = statements("outbox")["tell_of_work"]
_ATTEMPTS = 10
_PREPARE_AFTER = 3
# The longest wait for a free connection, and after an outage between two tries to reconnect.
_POOL_SECONDS = 5.0
_RECONNECT_SECONDS = 1.0


class PostgresDatabase(SharedResource):
    """A database, and the pool of connections that the ports of one engine share.

    Attributes:
        announcer: Tells other processes that there is work.
        listener: Is told by them.
    """

    def __init__(self, settings: PostgresSettings) -> None:
        super().__init__()
        self._settings = settings
        self._pool: Pool | None = None
        # Whether a connection was lost since one was made.
        self._doubtful = False
        self.announcer = Announcer(lambda: self.fetch(_NOTIFY, {}))
        self.listener = Listener(self._connect, wanted=settings.listen)

    async def _take(self, stack: AsyncExitStack) -> None:
        """Connect, and bring the schema up to date.

        Raises:
            ConfigurationError: Login, TLS, server or schema cannot work.
            BackendUnavailableError: The server cannot be reached.
            ReadOnlyStorageError: The schema is not there and cannot be made.
            CorruptDataError: The schema is of another make.
        """
        post = self._settings.post_migrations
        await self._alone(lambda c, place: migrate(c, place, post=post))
        self._pool = await self._open_pool()
        stack.push_async_callback(self._close_pool)
        stack.push_async_callback(self.listener.close)
        stack.push_async_callback(self.announcer.close)

    async def _close_pool(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()

    async def prepare_vectors(self) -> str:
        """Make sure that the database can keep points.

        Returns:
            The schema of the extension pgvector, quoted.

        Raises:
            ConfigurationError: The extension is not there and cannot be added.
            BackendUnavailableError: The server cannot be reached.
        """
        post = self._settings.post_migrations
        return await self._alone(lambda c, place: prepare_vectors(c, place, post=post))

    async def fetch(self, statement: bytes, parameters: Parameters) -> list[TupleRow]:
        """Carry out one statement that may be repeated, in a transaction of its own.

        Args:
            statement: What to do.
            parameters: Its parameters by name.

        Returns:
            Its rows; for a statement without any, one row with the number of
            rows it touched.

        Raises:
            SfmError: It failed.
        """

        async def work(connection: Connection) -> list[TupleRow]:
            cursor = await connection.execute(statement, parameters, binary=True)
            return await cursor.fetchall() if cursor.description else [(cursor.rowcount,)]

        return await self.run(work)

    async def run(self, work: Work[AnswerT]) -> AnswerT:
        """Do something on a connection; again where it is certain or harmless to do so.

        Args:
            work: What to do. It may be called again after the server undid it,
                or when a connection was lost; see `NotRepeatableError`.

        Returns:
            What `work` returned.

        Raises:
            SfmError: It failed.
        """
        losses = 0
        for attempt in range(1, _ATTEMPTS + 1):
            if self._doubtful:
                await self._replace_lost()
            try:
                return await self._attempt(work)
            except NotRepeatableError as error:
                self._doubtful = True
                raise translate(error.cause, self._settings.place) from error.cause
            except psycopg.Error as error:
                if is_lost(error):
                    self._doubtful = True
                    losses += 1
                again = is_repeatable(error) or (is_lost(error) and losses == 1)
                if not again or isinstance(error, PoolTimeout) or attempt == _ATTEMPTS:
                    raise translate(error, self._settings.place) from error
        raise AssertionError(_ATTEMPTS)

    async def _attempt(self, work: Work[AnswerT]) -> AnswerT:
        held: list[Connection] = []
        running = asyncio.create_task(self._on_connection(work, held))
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            # The driver would first ask the server to cancel, over a network that may
            # be the reason for the cancellation. A connection that is cut ends at once.
            for connection in held:
                _cut(connection)
            if not held:
                running.cancel()
            await asyncio.wait({running})
            if not running.cancelled():
                running.exception()
            raise

    async def _on_connection(self, work: Work[AnswerT], held: list[Connection]) -> AnswerT:
        pool = self._pool
        if pool is None:
            raise psycopg.OperationalError("the pool was closed")
        async with pool.connection() as connection:
            held.append(connection)
            try:
                return await work(connection)
            finally:
                held.clear()

    async def _replace_lost(self) -> None:
        # The pool would let callers wait while the server is down; this fails at once.
        connection = await self._connect()
        await connection.close()
        # When a server restarts, every idle connection is lost, not only the one in hand.
        if self._pool is not None:
            await self._pool.check()
        self._doubtful = False

    async def _connect(self) -> Connection:
        try:
            return await AsyncConnection.connect(self._settings.conninfo, autocommit=True)
        except psycopg.Error as error:
            raise translate_login(error, self._settings.place) from error

    async def _alone(self, work: Callable[[Connection, str], Awaitable[AnswerT]]) -> AnswerT:
        """Do something on a connection that is made for it."""
        place = self._settings.place
        connection = await self._connect()
        try:
            async with connection:
                return await work(connection, place)
        except psycopg.Error as error:
            raise translate(error, place) from error

    async def _open_pool(self) -> Pool:
        settings = self._settings
        pool: Pool = AsyncConnectionPool(
            settings.conninfo,
            kwargs={
                "autocommit": True,
                "prepare_threshold": _PREPARE_AFTER if settings.prepared_statements else None,
            },
            min_size=1,
            max_size=settings.pool_size,
            open=False,
            configure=set_up,
            timeout=_POOL_SECONDS,
            reconnect_timeout=_RECONNECT_SECONDS,
            name=f"postgresql {settings.place}",
        )
        await pool.open()
        return pool


class NotRepeatableError(Exception):
    """Work failed after the server was told to commit, so that it may have happened.

    Attributes:
        cause: What the driver raised.
    """

    def __init__(self, cause: psycopg.Error) -> None:
        """Keep what the driver raised."""
        super().__init__(str(cause))
        self.cause = cause


def shared_database(settings: PostgresSettings, context: BackendContext) -> PostgresDatabase:
    """Return the database that all ports of an engine share."""
    key = f"sfm_backend_postgres {settings!r} {settings.conninfo}"
    return context.share(key, lambda: PostgresDatabase(settings))


def check_alive(connection: Connection) -> None:
    """Notice that the server has closed an idle connection, before anything is sent on it.

    What was sent may have happened, so losing the connection later cannot be
    made up for. It costs no round trip.

    Raises:
        psycopg.OperationalError: The connection is lost.
    """
    raw = connection.pgconn
    # Not select(), which takes only small numbers of files.
    with DefaultSelector() as selector:
        selector.register(raw.socket, EVENT_READ)
        if selector.select(0):
            raw.consume_input()
    if raw.status != ConnStatus.OK:
        raise psycopg.OperationalError("the server has closed the connection")


def _cut(connection: Connection) -> None:
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as end:
        end.shutdown(socket.SHUT_RDWR)
