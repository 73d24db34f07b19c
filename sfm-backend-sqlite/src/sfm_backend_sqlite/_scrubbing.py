"""Having nothing left of what was removed, neither in the file nor in what was made from it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Final

from sfm_backend_sqlite._namespaces import find
from sfm_backend_sqlite.settings import SCHEME
from sfm_core.errors import BackendUnavailableError

_FORGET = "DELETE FROM point WHERE collection = ? AND namespace = ? AND vector IS NULL"
# A number that no index has followed to, so that every one of them is loaded anew.
_MOVE_ON = "UPDATE sqlite_sequence SET seq = seq + 1 WHERE name = 'point' RETURNING seq"
_NOTE = (
    "INSERT INTO purged (collection, namespace, change) SELECT id, ?, ? FROM collection WHERE true "
    "ON CONFLICT (collection, namespace) DO UPDATE SET change = excluded.change"
)
_TRIES: Final = 40
_PAUSE_SECONDS: Final = 0.05


def forget_removed(connection: sqlite3.Connection, *, namespaces: Sequence[str]) -> None:
    """Remove the tombstones of points, and have every index of the namespaces made anew.

    An index keeps the vector of what was removed, and so would its snapshot.

    Args:
        connection: The writing one, in a transaction.
        namespaces: Whose points.
    """
    found = (find(connection, namespace) for namespace in namespaces)
    numbers = [number for number in found if number is not None]
    moved: list[tuple[int]] = connection.execute(_MOVE_ON).fetchall()
    if not moved:
        return
    collections: list[tuple[int]] = connection.execute("SELECT id FROM collection").fetchall()
    for number in numbers:
        connection.executemany(_FORGET, [(collection, number) for (collection,) in collections])
        connection.execute(_NOTE, (number, moved[0][0]))


def rewrite_file(connection: sqlite3.Connection, pause: Callable[[float], object]) -> None:
    """Write the file anew, from what is there, and empty its log.

    Args:
        connection: The writing one, outside a transaction.
        pause: Waits for so many seconds.

    Raises:
        BackendUnavailableError: Others read an older state from the log all the time.
        sqlite3.Error: It failed; the file is as it was.
    """
    connection.execute("VACUUM")
    for _ in range(_TRIES):
        (busy, *_rest) = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if not busy:
            return
        pause(_PAUSE_SECONDS)
    raise BackendUnavailableError(
        "What was removed is still in the log of the SQLite file, which others read.",
        backend=SCHEME,
    )
