"""The schema of the file: which editions there are, and how a file gets to the newest."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

from sfm_backend_sqlite.settings import SCHEME
from sfm_core.errors import ConfigurationError, CorruptDataError

APPLICATION_ID = 0x53464D31
"""Marks a file as ours in SQLite's header ("SFM1")."""

MINIMUM_SQLITE = (3, 37, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step from an edition of the schema to the next.

    Attributes:
        number: Edition that it leads to.
        name: Its file name.
        sql: Its statements.
    """

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Digest by which an edited migration is recognised."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def known_migrations() -> tuple[Migration, ...]:
    """Read the migrations that this release ships, in order."""
    folder = files("sfm_backend_sqlite") / "migrations"
    scripts = sorted((file for file in folder.iterdir() if file.name.endswith(".sql")), key=str)
    return tuple(
        Migration(number=int(file.name[:4]), name=file.name, sql=file.read_text(encoding="utf-8"))
        for file in scripts
    )


def check_library() -> None:
    """Make sure that the SQLite library has what the schema needs.

    Raises:
        ConfigurationError: It is too old.
    """
    if sqlite3.sqlite_version_info < MINIMUM_SQLITE:
        raise ConfigurationError(
            f"Python's SQLite library is {sqlite3.sqlite_version}; 3.37 or later is needed.",
            remedy="Use a Python that comes with a newer one.",
        )


def is_current(connection: sqlite3.Connection, path: Path) -> bool:
    """Tell whether a file has the newest schema.

    Args:
        connection: Connection to it.
        path: Its path, for messages.

    Returns:
        False where migrations are due, an empty file included.

    Raises:
        ConfigurationError: It belongs to another program, or to a newer release.
        CorruptDataError: It was made by migrations that this release does not have.
    """
    (owner,) = connection.execute("PRAGMA application_id").fetchone()
    if owner == 0 and not connection.execute("SELECT 1 FROM sqlite_schema").fetchone():
        return False
    if owner != APPLICATION_ID:
        raise ConfigurationError(
            f"{path} is the SQLite database of another program.",
            remedy="Choose another file; this one is left as it is.",
        )
    return len(_applied(connection, path)) == len(known_migrations())


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring a file to the newest schema; the caller holds a write transaction around it.

    Args:
        connection: Connection to the file.
        path: Its path, for messages.

    Raises:
        ConfigurationError: It belongs to another program, or to a newer release.
        CorruptDataError: It was made by migrations that this release does not have.
    """
    if is_current(connection, path):
        return
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (number INTEGER NOT NULL PRIMARY KEY, "
        "name TEXT NOT NULL, checksum TEXT NOT NULL, "
        "applied_at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) STRICT"
    )
    for migration in known_migrations()[len(_applied(connection, path)) :]:
        for statement in _statements(migration.sql):
            connection.execute(statement)
        connection.execute(
            "INSERT INTO migration (number, name, checksum) VALUES (?, ?, ?)",
            (migration.number, migration.name, migration.checksum),
        )


def _applied(connection: sqlite3.Connection, path: Path) -> list[str]:
    rows: list[tuple[int, str]] = connection.execute(
        "SELECT number, checksum FROM migration ORDER BY number"
    ).fetchall()
    known = known_migrations()
    if len(rows) > len(known):
        raise ConfigurationError(
            f"{path} has schema {rows[-1][0]}; this release knows {known[-1].number}.",
            remedy="Upgrade somafractalmemory-backend-sqlite; the file is left as it is.",
        )
    for (number, checksum), migration in zip(rows, known, strict=False):
        if (number, checksum) != (migration.number, migration.checksum):
            raise CorruptDataError(
                f"{path} was made by another edition of migration {migration.name}.",
                backend=SCHEME,
                remedy="Open it with the release that made it, export, and import here.",
            )
    return [checksum for _, checksum in rows]


def _statements(script: str) -> Iterator[str]:
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
