"""How many bytes each part of a store takes, asked of the store itself."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import Protocol, cast

import psycopg
from redis import Redis

_BLOCK = 512

TABLES = {
    "entry": "truth",
    "namespace": "truth",
    "counter": "truth",
    "outbox": "outbox",
    "event": "log",
    "event_arrived": "log",
    "event_head": "log",
    "edge": "graph",
    "point": "vectors",
}
"""Part of each table, in SQLite and in PostgreSQL; an index belongs to its table."""

KEYS = {
    "entries": "truth",
    "keys": "truth",
    "counters": "truth",
    "namespaces": "truth",
    "notes": "outbox",
    "order": "outbox",
    "leases": "outbox",
    "free": "outbox",
    "seq": "outbox",
    "log": "log",
}
"""Part of each kind of key of a truth on Redis."""


class _Commands(Protocol):
    def scan_iter(self, *, count: int) -> Iterable[bytes]: ...

    def execute_command(self, *arguments: str | bytes | int) -> object: ...


def sqlite_parts(file: Path) -> dict[str, int]:
    """Return the bytes of all pages of each part, indexes included."""
    query = """
        SELECT schema.tbl_name, sum(pages.pgsize)
        FROM dbstat AS pages JOIN sqlite_schema AS schema ON schema.name = pages.name
        GROUP BY schema.tbl_name
    """
    with closing(sqlite3.connect(file)) as connection:
        return _parts(connection.execute(query).fetchall())


def postgres_parts(url: str) -> dict[str, int]:
    """Return the bytes of each part, indexes and free space maps included, after a VACUUM."""
    query = b"""
        SELECT relname, pg_total_relation_size(pg_class.oid)
        FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = 'sfm' AND relkind = 'r'
    """
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"VACUUM")
        return _parts(connection.execute(query).fetchall())


def redis_parts(url: str) -> dict[str, int]:
    """Return the bytes in memory of each part, counted key by key."""
    make = cast("Callable[[str], _Commands]", Redis.from_url)  # pyright: ignore[reportUnknownMemberType]
    client = make(url)
    parts = dict.fromkeys([*KEYS.values(), "graph"], 0)
    for key in client.scan_iter(count=1000):
        size = cast("int", client.execute_command("MEMORY", "USAGE", key, "SAMPLES", 0))
        tag, _, rest = key.decode().partition("}")
        if ":graph:" in tag:
            parts["graph"] += size
        elif part := KEYS.get(rest.removeprefix(":").partition(":")[0]):
            parts[part] += size
    return parts


def folder_parts(folder: Path, part: str) -> dict[str, int]:
    """Return the bytes that the disk gives to the files of a folder, holes left out."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return {part: sum(path.stat().st_blocks * _BLOCK for path in files)}


def topic_parts(folder: Path, topic: str) -> dict[str, int]:
    """Return the bytes of the records of a topic in the folder of a broker, as one replica."""
    segments = folder.rglob(f"{topic}-*/*.log")
    return {"topic": sum(segment.stat().st_size for segment in segments)}


def _parts(sizes: Iterable[tuple[str, int]]) -> dict[str, int]:
    parts = Counter(dict.fromkeys(TABLES.values(), 0))
    for table, size in sizes:
        if part := TABLES.get(table):
            parts[part] += size
    return dict(parts)
