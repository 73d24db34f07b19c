"""Keeps the indexes of the namespaces in step with the file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from sfm_backend_sqlite._errors import translated
from sfm_backend_sqlite.index.namespace import NamespaceIndex, Row
from sfm_backend_sqlite.index.snapshot import Subject
from sfm_backend_sqlite.settings import SCHEME
from sfm_core.errors import ConfigurationError, CorruptDataError
from sfm_core.protocols.vector import Collection

# Rows that are decoded at a time; bounds memory while a namespace is loaded.
_PAGE = 4_000
_ROWS = (
    "SELECT change, coordinate, version, type, payload, terms, vector FROM point "
    "WHERE collection = ? AND namespace = ? AND change > ? ORDER BY change"
)
_PLACE = (
    "SELECT collection.id, dimension, coalesce(namespace.id, 0), coalesce(change, 0), value "
    "FROM collection JOIN property ON property.name = 'identity' "
    "LEFT JOIN namespace ON namespace.name = ? "
    "LEFT JOIN purged ON purged.collection = collection.id AND purged.namespace = namespace.id "
    "WHERE collection.name = ?"
)
_CHANGES = (
    "SELECT change FROM point INDEXED BY point_changes "
    "WHERE collection = ? AND namespace = ? AND change <= ?"
)
_REMOVALS = (
    "SELECT change FROM point INDEXED BY point_removed "
    "WHERE collection = ? AND namespace = ? AND vector IS NULL AND change <= ?"
)

_PURGED = (
    "SELECT value, collection, namespace, change FROM purged "
    "JOIN property ON property.name = 'identity'"
)

_IDENTITY = "SELECT value FROM property WHERE name = 'identity'"


class Follower:
    """Reads what changed, through a connection of its own; one thread at a time."""

    def __init__(self, connect: Callable[[], sqlite3.Connection], path: Path) -> None:
        self._connect = connect
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._turn = threading.Lock()
        self._version = -1
        self._looks = 0

    def close(self) -> None:
        """Close its connection."""
        with self._turn:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def look(self) -> int:
        """Return a number that differs from the last one if anybody has committed since."""
        with self._reading() as connection:
            (version,) = connection.execute("PRAGMA data_version").fetchone()
            if version != self._version:
                self._version = version
                self._looks += 1
            return self._looks

    def places(self) -> list[Subject]:
        """Return every place of which tombstones are gone, and through which change.

        Raises:
            BackendError: The file could not be read.
        """
        with self._reading() as connection:
            return [
                Subject(
                    identity=identity, collection=collection, namespace=namespace, purged=change
                )
                for identity, collection, namespace, change in connection.execute(_PURGED)
            ]

    def collections(self) -> tuple[str, frozenset[int]]:
        """Return the identity of the file, and the numbers of the collections in it.

        Raises:
            BackendError: The file could not be read.
        """
        with self._reading() as connection, _snapshot(connection):
            [identity] = connection.execute(_IDENTITY).fetchone()
            numbers = connection.execute("SELECT id FROM collection")
            return identity, frozenset(number for (number,) in numbers)

    def follow(self, index: NamespaceIndex, collection: Collection, namespace: str) -> bool:
        """Bring an index up to now; the caller holds its lock.

        Args:
            index: The index.
            collection: What it is of.
            namespace: What it is of.

        Returns:
            False where it cannot follow and a new one has to be loaded.

        Raises:
            ConfigurationError: The collection does not exist.
            CorruptDataError: A row is damaged.
            BackendError: The file could not be read.
        """
        # Asked first: what is committed after it is seen at the next search, if not now.
        looks = self.look()
        if index.seen == looks:
            return True
        index.seen = -1
        with self._reading() as connection, _snapshot(connection):
            place = find_place(connection, collection, namespace)
            if not _continues(index, place):
                return False
            self._apply(connection, index, place)
        index.seen = looks
        return True

    def load(
        self,
        index: NamespaceIndex,
        collection: Collection,
        namespace: str,
        restore: Callable[[sqlite3.Connection, Subject], None],
    ) -> None:
        """Fill an empty index, through a connection that keeps no other namespace waiting.

        Args:
            index: The index; the caller holds its lock.
            collection: What it is of.
            namespace: What it is of.
            restore: May fill the index with what is known already.

        Raises:
            ConfigurationError: The collection does not exist.
            CorruptDataError: A row is damaged.
            BackendError: The file could not be read.
        """
        looks = self.look()
        with translated(self._path), closing(self._connect()) as connection, _snapshot(connection):
            place = find_place(connection, collection, namespace)
            index.subject = place
            if place.namespace:
                restore(connection, place)
            self._apply(connection, index, place)
        index.seen = looks

    def _apply(self, connection: sqlite3.Connection, index: NamespaceIndex, place: Subject) -> None:
        if not place.namespace:
            return
        head = _head(connection)
        if head == index.position:
            return
        rows = connection.execute(_ROWS, (place.collection, place.namespace, index.position))
        while page := rows.fetchmany(_PAGE):
            self._apply_page(index, page)
        index.position = head

    def _apply_page(self, index: NamespaceIndex, page: Sequence[Row]) -> None:
        try:
            index.apply(page)
        except (ValueError, KeyError, msgspec.MsgspecError) as error:
            raise CorruptDataError(
                f"A point in {self._path} is damaged: {error}.",
                backend=SCHEME,
                remedy="Points are derived: rebuild them from the truth.",
            ) from error

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        with self._turn, translated(self._path):
            if self._connection is None:
                self._connection = self._connect()
            yield self._connection


def find_place(connection: sqlite3.Connection, collection: Collection, namespace: str) -> Subject:
    """Return where the points of a namespace are.

    Args:
        connection: Connection to the file.
        collection: The collection.
        namespace: The namespace.

    Returns:
        The place; its namespace is 0 where nothing was ever kept under that name.

    Raises:
        ConfigurationError: The collection does not exist, or has another dimension.
    """
    row: tuple[int, int, int, int, str] | None = connection.execute(
        _PLACE, (namespace, collection.name)
    ).fetchone()
    if row is None:
        raise ConfigurationError(
            f"There is no collection {collection.name!r}.", remedy="Call ensure first."
        )
    number, dimension, namespace_number, purged, identity = row
    if dimension != collection.dimension:
        raise ConfigurationError(
            f"The collection {collection.name!r} has {dimension} dimensions, "
            f"not {collection.dimension}.",
            remedy="Drop it, or use another name.",
        )
    return Subject(identity=identity, collection=number, namespace=namespace_number, purged=purged)


def existing_changes(
    connection: sqlite3.Connection, place: Subject, position: int
) -> NDArray[np.int64] | None:
    """Return the change numbers of the points that exist, up to a position.

    Args:
        connection: Connection to the file.
        place: Whose points.
        position: Last change to look at.

    Returns:
        The numbers, or `None` where the file has not come as far.
    """
    if _head(connection) < position:
        return None
    where = (place.collection, place.namespace, position)
    every, removed = (
        np.array([change for (change,) in connection.execute(statement, where)], np.int64)
        for statement in (_CHANGES, _REMOVALS)
    )
    return np.setdiff1d(every, removed, assume_unique=True)


def _continues(index: NamespaceIndex, place: Subject) -> bool:
    known = index.subject
    if known is None or known.collection != place.collection:
        return False
    if index.position < place.purged:
        return False
    if known.namespace != place.namespace:
        index.subject = place
    return True


def _head(connection: sqlite3.Connection) -> int:
    (head,) = connection.execute(
        "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'point'"
    ).fetchone()
    return int(head)


@contextmanager
def _snapshot(connection: sqlite3.Connection) -> Generator[None]:
    connection.execute("BEGIN")
    try:
        yield
    finally:
        connection.execute("COMMIT")
