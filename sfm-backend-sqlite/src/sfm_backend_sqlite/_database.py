"""One SQLite file, shared by the ports of an engine: its threads, connections and transactions."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import TypeVar

from sfm_backend_sqlite._errors import is_busy, translated
from sfm_backend_sqlite._schema import check_library, is_current, migrate
from sfm_backend_sqlite._scrubbing import rewrite_file
from sfm_backend_sqlite._threads import run_on
from sfm_backend_sqlite.settings import SqliteSettings
from sfm_core.errors import ClosedError, ConfigurationError
from sfm_core.porting import SharedResource
from sfm_core.registry import BackendContext

ResultT = TypeVar("ResultT")
Work = Callable[[sqlite3.Connection], ResultT]

# Keys are random within a namespace and values some hundred bytes: pages of
# this size keep the tree a level flatter than the usual 4096.
_PAGE_BYTES = 8192
_PRAGMAS = (
    "PRAGMA cache_size = -16384",
    "PRAGMA wal_autocheckpoint = 2000",
    "PRAGMA journal_size_limit = 67108864",
    # Only macOS knows the difference: there, a plain fsync leaves data in the drive's cache.
    "PRAGMA fullfsync = ON",
)
_LONGEST_PAUSE = 0.005


class SqliteDatabase(SharedResource):
    """A file, one thread that writes to it and a few that read.

    One writing thread means that the tasks of a process never wait for each
    other on the lock of the file; only other processes are waited for.
    Each port opens and closes it; the first opens the file, the last closes it.
    """

    def __init__(self, settings: SqliteSettings) -> None:
        super().__init__()
        self.settings = settings
        self._stopping = threading.Event()
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._writing: ThreadPoolExecutor | None = None
        self._reading: ThreadPoolExecutor | None = None
        self._synchronous = ""
        self._rewritten: tuple[int, int] | None = None

    async def read(self, work: Work[ResultT]) -> ResultT:
        """Run `work` on a reading thread.

        Args:
            work: Reads from the connection it is given; sees every commit so far.

        Returns:
            What `work` returned.

        Raises:
            BackendError: SQLite failed.
        """
        return await self._run(self._reading, lambda: self._read(work))

    async def write(self, work: Work[ResultT], *, durable: bool = False) -> ResultT:
        """Run `work` in a transaction on the writing thread.

        Args:
            work: Writes through the connection it is given. Where it raises,
                nothing is changed.
            durable: Whether the commit must survive a power cut (if the
                settings say so at all). What is derived need not.

        Returns:
            What `work` returned, once committed.

        Raises:
            BackendError: SQLite failed; nothing was changed.
        """
        return await self._run(self._writing, lambda: self._write(work, durable=durable))

    async def write_many(self, statement: str, rows: Sequence[tuple[int | str, ...]]) -> None:
        """Run one statement for many rows in a transaction that is not durable.

        Args:
            statement: What to run.
            rows: Its parameters, once per run.

        Raises:
            BackendError: SQLite failed; nothing was changed.
        """

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(statement, rows)

        await self.write(work)

    async def rewrite(self) -> None:
        """Write the file anew, so that nothing is left in it of what was removed or replaced.

        Other writes wait as long as that takes: about as long as copying the file.

        Raises:
            BackendUnavailableError: Other processes use the file.
            BackendError: SQLite failed; the file is as it was.
        """
        await self._run(self._writing, self._rewrite)

    def connect(self) -> sqlite3.Connection:
        """Open one more connection that only reads; the caller closes it, in any thread."""
        with translated(self.settings.path):
            return self._patiently(lambda: self._connect("PRAGMA query_only = ON"))

    async def _run(self, pool: ThreadPoolExecutor | None, work: Callable[[], ResultT]) -> ResultT:
        if pool is None:
            raise ClosedError("The SQLite database is not open.")
        return await run_on(pool, work)

    async def _take(self, stack: AsyncExitStack) -> None:
        self._start()
        # What runs is finished, but no longer waits for other processes.
        stack.push_async_callback(self._stop)
        await self._run(self._writing, self._prepare)

    def _start(self) -> None:
        self._stopping.clear()
        self._local = threading.local()
        self._synchronous = ""
        self._rewritten = None
        self._writing = ThreadPoolExecutor(1, "sfm-sqlite-write")
        self._reading = ThreadPoolExecutor(self.settings.readers, "sfm-sqlite-read")

    async def _stop(self) -> None:
        writing, reading = self._writing, self._reading
        if writing is None or reading is None:
            return
        self._writing = self._reading = None
        self._stopping.set()
        reading.shutdown(wait=False)
        # The last job of the writing thread waits for the readers, so that no
        # connection is closed under one of them and the event loop stays free.
        await asyncio.shield(run_on(writing, lambda: self._disconnect(reading)))
        writing.shutdown(wait=False)

    def _disconnect(self, reading: ThreadPoolExecutor) -> None:
        reading.shutdown(wait=True)
        while self._connections:
            self._connections.pop().close()

    def _prepare(self) -> None:
        path = self.settings.path
        check_library()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"The folder {path.parent} cannot be made: {error.strerror}.",
                remedy="Choose another data folder, or make it and grant access to it.",
            ) from error
        with translated(path):
            connection = self._patiently(self._connect)
            self._connections.append(connection)
            self._local.writer = connection
            current = self._patiently(lambda: is_current(connection, path))
            if not current:
                self._set_up(connection)

    def _set_up(self, connection: sqlite3.Connection) -> None:
        # Any statement on a file that others are making may find it locked for a moment.
        self._patiently(lambda: connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}"))
        self._patiently(lambda: connection.execute("PRAGMA journal_mode = WAL").fetchone())
        self._write(lambda inner: migrate(inner, self.settings.path), durable=True)

    def _connect(self, *more: str) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self.settings.path,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=256,
            timeout=0,
        )
        try:
            for pragma in (*_PRAGMAS, *more):
                connection.execute(pragma)
        except BaseException:
            connection.close()
            raise
        return connection

    def _read(self, work: Work[ResultT]) -> ResultT:
        connection: sqlite3.Connection | None = getattr(self._local, "reader", None)
        if connection is None:
            connection = self._local.reader = self.connect()
            self._connections.append(connection)
        with translated(self.settings.path):
            # WAL readers are only ever refused for moments, while a log is restarted or recovered.
            return self._patiently(lambda: work(connection))

    def _write(self, work: Work[ResultT], *, durable: bool) -> ResultT:
        connection: sqlite3.Connection = self._local.writer
        with translated(self.settings.path):
            self._set_synchronous(connection, durable=durable and self.settings.durable)
            self._patiently(lambda: connection.execute("BEGIN IMMEDIATE"))
            try:
                result = work(connection)
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        return result

    def _rewrite(self) -> None:
        connection: sqlite3.Connection = self._local.writer
        with translated(self.settings.path):
            state = _state(connection)
            if state == self._rewritten:
                return
            self._set_synchronous(connection, durable=self.settings.durable)
            self._patiently(lambda: rewrite_file(connection, self._stopping.wait))
            self._rewritten = _state(connection)

    def _set_synchronous(self, connection: sqlite3.Connection, *, durable: bool) -> None:
        wanted = "FULL" if durable else "NORMAL"
        if wanted != self._synchronous:
            connection.execute(f"PRAGMA synchronous = {wanted}")
            self._synchronous = wanted

    def _patiently(self, work: Callable[[], ResultT]) -> ResultT:
        """Repeat `work` while other processes are in the way.

        SQLite's own waiting backs off to a tenth of a second, so that a
        newcomer overtakes who waits longest. Short random pauses are fairer.
        """
        deadline = time.monotonic() + self.settings.lock_timeout.total_seconds()
        pause = 0.0005
        while True:
            try:
                return work()
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() > deadline or self._stopping.is_set():
                    raise
            self._stopping.wait(pause * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
            pause = min(pause * 1.5, _LONGEST_PAUSE)


def _state(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return what differs from an earlier answer if anything was written since."""
    (others,) = connection.execute("PRAGMA data_version").fetchone()
    return others, connection.total_changes


def shared_database(settings: SqliteSettings, context: BackendContext) -> SqliteDatabase:
    """Return the one database object that all ports of an engine use for a file.

    Args:
        settings: What the URL of the asking port says.
        context: Context of the engine.

    Returns:
        The database, not opened on behalf of the caller.

    Raises:
        ConfigurationError: Another port names the same file with other options.
    """
    database = context.share(
        f"sfm_backend_sqlite:{settings.path}", lambda: SqliteDatabase(settings)
    )
    if database.settings != settings:
        raise ConfigurationError(
            f"Two ports name {settings.path} with different options.",
            remedy="Give the URLs of all SQLite ports the same options.",
        )
    return database
