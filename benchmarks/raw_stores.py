"""What a memory does to its truth, done with a driver alone: the fewest round trips it can take.

Storing reads what is there, puts an entry, a note of what is owed to the indexes, an event and a
counter in one durable transaction, and removes the note afterwards, which need not be durable: a
note that comes back is worked off once more. Recalling reads entries.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Protocol, TypeAlias, cast

import psycopg
from redis.asyncio import Redis

Rows: TypeAlias = Sequence[tuple[bytes, bytes]]

TABLES = (
    "CREATE TABLE IF NOT EXISTS entry (key {bytes} PRIMARY KEY, value {bytes})",
    "CREATE TABLE IF NOT EXISTS note (key {bytes} PRIMARY KEY)",
    "CREATE TABLE IF NOT EXISTS event (key {bytes})",
    "CREATE TABLE IF NOT EXISTS counter (name {text} PRIMARY KEY, value {number})",
)
PUT = (
    "INSERT INTO entry VALUES ({0}, {0})",
    "INSERT INTO note VALUES ({0})",
    "INSERT INTO event VALUES ({0})",
)
COUNT = "UPDATE counter SET value = value + {0}"


class RawStore(Protocol):
    """A store, spoken to by its driver."""

    async def read(self, keys: Sequence[bytes]) -> None:
        """Read entries in one round trip."""
        ...

    async def commit(self, rows: Rows) -> None:
        """Put entries along with their notes and events, and count them, all or nothing."""
        ...

    async def acknowledge(self, keys: Sequence[bytes]) -> None:
        """Remove notes."""
        ...


class RawSqlite:
    """A file of its own, spoken to by `sqlite3`."""

    def __init__(self, file: sqlite3.Connection) -> None:
        """Make the tables."""
        self._file = file
        for table in TABLES:
            file.execute(table.format(bytes="BLOB", text="TEXT", number="INTEGER"))
        file.execute("INSERT INTO counter VALUES ('all', 0) ON CONFLICT DO NOTHING")

    async def read(self, keys: Sequence[bytes]) -> None:
        """Read entries in one statement."""
        marks = ", ".join("?" * len(keys))
        self._file.execute(f"SELECT value FROM entry WHERE key IN ({marks})", keys).fetchall()  # noqa: S608 - question marks only

    async def commit(self, rows: Rows) -> None:
        """Put entries along with their notes and events, and count them."""
        keys = [(key,) for key, _ in rows]
        self._file.execute("BEGIN IMMEDIATE")
        for statement, values in zip(PUT, (rows, keys, keys), strict=True):
            self._file.executemany(statement.format("?"), values)
        self._file.execute(COUNT.format("?"), (len(rows),))
        self._file.execute("COMMIT")

    async def acknowledge(self, keys: Sequence[bytes]) -> None:
        """Remove notes."""
        self._file.execute("PRAGMA synchronous = NORMAL")
        self._file.execute("BEGIN IMMEDIATE")
        self._file.executemany("DELETE FROM note WHERE key = ?", [(key,) for key in keys])
        self._file.execute("COMMIT")
        self._file.execute("PRAGMA synchronous = FULL")


class RawPostgres:
    """A database, spoken to by `psycopg` in its pipeline mode."""

    def __init__(self, connection: psycopg.AsyncConnection) -> None:
        """Use a connection."""
        self._connection = connection

    async def prepare(self) -> None:
        """Make the tables."""
        for table in TABLES:
            text = table.format(bytes="bytea", text="text", number="bigint")
            await self._connection.execute(text.encode())
        await self._connection.execute(
            "INSERT INTO counter VALUES ('all', 0) ON CONFLICT DO NOTHING"
        )
        await self._connection.commit()

    async def read(self, keys: Sequence[bytes]) -> None:
        """Read entries in one statement."""
        query = b"SELECT value FROM entry WHERE key = ANY(%b)"
        found = await self._connection.execute(query, (list(keys),), binary=True)
        await found.fetchall()
        await self._connection.rollback()

    async def commit(self, rows: Rows) -> None:
        """Put entries along with their notes and events, and count them, in one round trip."""
        keys = [(key,) for key, _ in rows]
        async with (
            self._connection.pipeline(),
            self._connection.transaction(),
            self._connection.cursor() as cursor,
        ):
            for statement, values in zip(PUT, (rows, keys, keys), strict=True):
                await cursor.executemany(statement.format("%b").encode(), values)
            await cursor.execute(COUNT.format("%b").encode(), (len(rows),))

    async def acknowledge(self, keys: Sequence[bytes]) -> None:
        """Remove notes."""
        async with self._connection.pipeline(), self._connection.transaction():
            await self._connection.execute(b"SET LOCAL synchronous_commit = off")
            await self._connection.execute(b"DELETE FROM note WHERE key = ANY(%b)", (list(keys),))


class _Pipeline(Protocol):
    def execute_command(self, *arguments: str | bytes | int) -> object: ...

    def execute(self) -> Awaitable[list[object]]: ...


class RawRedis:
    """A Redis, spoken to by `redis` with one MULTI and EXEC."""

    def __init__(self, client: Redis) -> None:
        """Use a client."""
        self._client = client

    async def read(self, keys: Sequence[bytes]) -> None:
        """Read entries in one command."""
        read = cast("Callable[..., Awaitable[object]]", self._client.execute_command)
        await read("HMGET", "raw:entry", *keys)

    async def commit(self, rows: Rows) -> None:
        """Put entries along with their order, notes and events, and count them."""
        pipeline = self._pipeline()
        for key, value in rows:
            pipeline.execute_command("HSET", "raw:entry", key, value)
            pipeline.execute_command("ZADD", "raw:order", 0, key)
            pipeline.execute_command("HSET", "raw:note", key, b"1")
            pipeline.execute_command("RPUSH", "raw:event", key)
        pipeline.execute_command("HINCRBY", "raw:counter", "all", len(rows))
        await pipeline.execute()

    async def acknowledge(self, keys: Sequence[bytes]) -> None:
        """Remove notes."""
        pipeline = self._pipeline()
        pipeline.execute_command("HDEL", "raw:note", *keys)
        await pipeline.execute()

    def _pipeline(self) -> _Pipeline:
        return cast("_Pipeline", self._client.pipeline(transaction=True))


@asynccontextmanager
async def raw_sqlite(folder: Path) -> AsyncGenerator[RawStore]:
    """Open a file whose transactions are durable.

    Args:
        folder: Where to make it.

    Yields:
        The store.
    """
    with closing(sqlite3.connect(folder / "raw.db", isolation_level=None)) as file:
        file.execute("PRAGMA journal_mode = WAL").fetchone()
        file.execute("PRAGMA synchronous = FULL")
        yield RawSqlite(file)


@asynccontextmanager
async def raw_postgres(url: str) -> AsyncGenerator[RawStore]:
    """Connect to a database.

    Args:
        url: The database.

    Yields:
        The store.
    """
    async with await psycopg.AsyncConnection.connect(url) as connection:
        store = RawPostgres(connection)
        await store.prepare()
        yield store


@asynccontextmanager
async def raw_redis(url: str) -> AsyncGenerator[RawStore]:
    """Connect to a server.

    Args:
        url: The server.

    Yields:
        The store.
    """
    make = cast("Callable[[str], Redis]", Redis.from_url)  # pyright: ignore[reportUnknownMemberType]
    client = make(url)
    try:
        yield RawRedis(client)
    finally:
        await client.aclose()
