"""Counters in a file, for workers that share a data folder and no cache."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from sfm_core.errors import BackendUnavailableError

_BUSY_SECONDS = 0.2
_TABLE = """
CREATE TABLE IF NOT EXISTS counts
(name TEXT PRIMARY KEY, value INTEGER NOT NULL, ends REAL NOT NULL) WITHOUT ROWID
"""
_ADD = """
INSERT INTO counts VALUES (?, ?, ?)
ON CONFLICT (name) DO UPDATE SET value = value + excluded.value RETURNING value
"""
_SWEEP_SECONDS = 60.0


class FileCounter:
    """Counts in a small SQLite file, in a thread of its own.

    Nothing is waited for to reach the disk: what a loss of power takes is a
    minute's count.
    """

    def __init__(self, path: Path) -> None:
        """Count in the file at `path`, which is made where there is none."""
        self._path = path
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="sfm-counts")
        self._connection: sqlite3.Connection | None = None
        self._swept_at = 0.0

    async def increment(self, key: str, amount: int, *, ttl: timedelta) -> int:
        """Add to a counter; see `sfm_core.protocols.cache.Cache.increment`.

        Raises:
            BackendUnavailableError: The file cannot be used just now.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, self._add, key, amount, ttl)

    async def close(self) -> None:
        """Close the file and end the thread."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._executor, self._disconnect)
        self._executor.shutdown()

    def _add(self, key: str, amount: int, ttl: timedelta) -> int:
        now = time.time()
        try:
            connection = self._connected()
            if now > self._swept_at + _SWEEP_SECONDS:
                self._swept_at = now
                connection.execute("DELETE FROM counts WHERE ends < ?", (now,))
            [(value,)] = connection.execute(
                _ADD, (key, amount, now + ttl.total_seconds())
            ).fetchall()
        except sqlite3.OperationalError as error:
            raise self._unavailable(error) from error
        except sqlite3.DatabaseError as error:
            # Counts of a minute are worth no repair.
            self._disconnect()
            with suppress(OSError):
                self._path.unlink()
            raise self._unavailable(error) from error
        return int(value)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA synchronous = OFF")
                connection.execute("PRAGMA journal_mode = MEMORY")
                connection.execute(_TABLE)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _unavailable(self, error: sqlite3.Error) -> BackendUnavailableError:
        return BackendUnavailableError(
            f"Requests cannot be counted in {self._path}: {error}.", backend="file"
        )
