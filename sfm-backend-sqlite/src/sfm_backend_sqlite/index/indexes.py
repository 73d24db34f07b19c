"""All indexes of a store: which are in memory, and what is done for them in the background."""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from sfm_backend_sqlite.index.follower import Follower, existing_changes
from sfm_backend_sqlite.index.graph import SavedGraph
from sfm_backend_sqlite.index.namespace import NamespaceIndex
from sfm_backend_sqlite.index.saving import Frozen, freeze, thaw
from sfm_backend_sqlite.index.snapshot import (
    Subject,
    read_snapshot,
    remove_outdated,
    remove_snapshots,
    remove_unknown,
    write_snapshot,
)
from sfm_backend_sqlite.settings import SCHEME, SqliteSettings
from sfm_core.errors import BackendError, BackendUnavailableError
from sfm_core.protocols.vector import Collection, SearchResult, VectorQuery

_log = logging.getLogger(__name__)

# Vectors that join the graph at a time: some milliseconds during which searches of it wait.
_STEP = 16
_PAUSE_SECONDS = 0.0005
_Key = tuple[str, int, str]


class SearchIndexes:
    """The indexes that searches use. Its methods block: they run on threads of their own."""

    def __init__(self, settings: SqliteSettings, connect: Callable[[], sqlite3.Connection]) -> None:
        self._settings = settings
        self._follower = Follower(connect, settings.path)
        # By when they were last used, the latest at the end.
        self._indexes: dict[_Key, NamespaceIndex] = {}
        self._tended: set[NamespaceIndex] = set()
        self._turn = threading.Lock()
        self._stopping = threading.Event()
        self._upkeep = ThreadPoolExecutor(1, "sfm-sqlite-index")

    @property
    def tending(self) -> bool:
        """Whether an index is being improved in the background."""
        return bool(self._tended)

    @property
    def resident_points(self) -> int:
        """How many points are in memory."""
        with self._turn:
            return sum(map(len, self._indexes.values()))

    @property
    def resident_namespaces(self) -> int:
        """How many namespaces have an index in memory, those without a point included."""
        return len(self._indexes)

    def search(
        self, collection: Collection, namespace: str, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        """Answer searches of one namespace, as of now.

        Args:
            collection: Where to search.
            namespace: Which namespace all of them are about.
            queries: What is asked.

        Returns:
            One result per query, in order.

        Raises:
            ConfigurationError: The collection does not exist.
            CorruptDataError: A point is damaged.
            BackendError: The file could not be read.
        """
        index = self._take(collection, namespace)
        with index.lock:
            if index.seen < 0 or not self._follower.follow(index, collection, namespace):
                index.clear()
                self._load(index, collection, namespace)
            answers = index.search(queries)
            dense = index.dense
            wanting = dense.behind or dense.needs_calibration() or index.has_gaps
            grown = index.has_grown()
        if grown:
            self._make_room(index)
        if wanting:
            self._start_tending(index, collection, namespace)
        return answers

    def save(self) -> None:
        """Write snapshots of the large indexes that changed much since their last one."""
        with self._turn:
            indexes = list(self._indexes.values())
        for index in indexes:
            self._save(index)

    def discard_outdated(self) -> None:
        """Remove snapshots of indexes that have to be made anew, and let those in memory go.

        Raises:
            BackendUnavailableError: A snapshot could not be read or removed.
            BackendError: The file could not be read.
        """
        with self._turn:
            indexes = list(self._indexes.values())
        places = self._follower.places()
        for place in places:
            for index in indexes:
                with index.lock:
                    if index.subject and _same(index.subject, place) and _outdated(index, place):
                        index.clear()
        folder = self._settings.index_folder
        try:
            for place in places:
                remove_outdated(folder, place)
            remove_unknown(folder, *self._follower.collections())
        except OSError as error:
            raise BackendUnavailableError(
                f"A snapshot in {folder} could not be removed: {error}.",
                backend=SCHEME,
                remedy="Grant this user write access to that folder, or remove what is in it.",
            ) from error

    def forget(self, identity: str, collection: int) -> None:
        """Let go of a collection that is gone, and remove its snapshots.

        Args:
            identity: Identity of the database file.
            collection: Number of the collection in it.
        """
        with self._turn:
            for key, index in list(self._indexes.items()):
                if index.subject is not None and index.subject.collection == collection:
                    del self._indexes[key]
        try:
            remove_snapshots(self._settings.index_folder, identity, collection)
        except OSError as error:
            _log.warning("Could not remove snapshots of a dropped collection: %s", error)

    def close(self) -> None:
        """Stop what runs in the background, save, and let everything go."""
        self._stopping.set()
        self._upkeep.shutdown(wait=True)
        self.save()
        self._indexes.clear()
        self._follower.close()

    def _take(self, collection: Collection, namespace: str) -> NamespaceIndex:
        key = (collection.name, collection.dimension, namespace)
        with self._turn:
            index = self._indexes.pop(key, None)
            if index is None:
                index = NamespaceIndex(
                    collection.dimension, approximate_from=self._settings.approximate_from
                )
            self._indexes[key] = index
        return index

    def _make_room(self, latest: NamespaceIndex) -> None:
        """Let go what was unused for longest, until the rest is within the limit."""
        with self._turn:
            resident = sum(index.weight for index in self._indexes.values())
            for key, index in list(self._indexes.items()):
                if resident <= self._settings.resident_points or index is latest:
                    return
                resident -= index.weight
                del self._indexes[key]
                self._upkeep.submit(self._save, index)

    def _load(self, index: NamespaceIndex, collection: Collection, namespace: str) -> None:
        self._follower.load(index, collection, namespace, partial(self._restore, index))

    def _restore(
        self, index: NamespaceIndex, connection: sqlite3.Connection, subject: Subject
    ) -> None:
        """Fill a new index from its snapshot where that is possible."""
        folder = self._settings.index_folder
        try:
            found = read_snapshot(folder, subject)
            if found is None:
                return
            header, arrays = found
            if header.position < subject.purged:
                # It has what was removed for good.
                remove_outdated(folder, subject)
                return
            existing = existing_changes(connection, subject, header.position)
            if existing is None:
                _log.info("Ignored the snapshot of an index: it is ahead of the file.")
                return
            thaw(
                index,
                Frozen(position=header.position, covered=header.covered, arrays=arrays),
                existing,
            )
        # What is wrong with a cache is no reason to fail, whatever a damaged one makes go wrong.
        except Exception as error:  # noqa: BLE001 - logged, and the points are read instead
            _log.warning("Ignored the snapshot of an index in %s: %s", folder, error)
            index.clear()
            index.subject = subject

    def _save(self, index: NamespaceIndex) -> None:
        with index.lock:
            if not self._due(index):
                return
            graph = index.dense.graph
        # Some milliseconds, in which searches that need no graph go on.
        saved = SavedGraph() if graph is None else graph.save()
        with index.lock:
            subject = index.subject
            if subject is None or index.dense.graph is not graph or not self._due(index):
                return
            if self._is_outdated(index, subject):
                return
            frozen = freeze(index, saved)
            index.unsaved = 0
        folder = self._settings.index_folder
        try:
            write_snapshot(
                folder,
                subject,
                position=frozen.position,
                covered=frozen.covered,
                arrays=frozen.packed(),
            )
        except OSError as error:
            _log.warning("Could not write the snapshot of an index to %s: %s", folder, error)

    def _is_outdated(self, index: NamespaceIndex, subject: Subject) -> bool:
        """Tell whether an index has, or may have, what was purged from the file since."""
        try:
            places = self._follower.places()
        except BackendError as error:
            _log.warning("Wrote no snapshot of an index: %s", error)
            return True
        return any(_same(subject, place) and _outdated(index, place) for place in places)

    def _due(self, index: NamespaceIndex) -> bool:
        """Tell whether a snapshot should be written; the caller holds the index's lock."""
        changed = index.unsaved > len(index) // 10
        large = len(index) >= self._settings.snapshot_from
        return large and changed and index.seen >= 0 and not index.has_gaps

    def _start_tending(self, index: NamespaceIndex, collection: Collection, namespace: str) -> None:
        with self._turn:
            if index in self._tended:
                return
            self._tended.add(index)
        self._upkeep.submit(self._tend, index, collection, namespace)

    def _tend(self, index: NamespaceIndex, collection: Collection, namespace: str) -> None:
        try:
            if index.has_gaps:
                self._reload(index, collection, namespace)
            self._cover(index)
            self._calibrate(index)
        # Searches are right without it, only slower; the next one starts it again.
        except Exception:  # noqa: BLE001 - logged
            _log.exception("Could not tend the index of a namespace.")
        finally:
            with self._turn:
                self._tended.discard(index)

    def _reload(self, index: NamespaceIndex, collection: Collection, namespace: str) -> None:
        fresh = index.emptied()
        with fresh.lock:
            self._follower.load(fresh, collection, namespace, _nothing)
        self._cover(fresh)
        with index.lock:
            index.adopt(fresh)

    def _cover(self, index: NamespaceIndex) -> None:
        with index.lock:
            more = index.dense.behind
        while more and not self._stopping.wait(_PAUSE_SECONDS):
            with index.lock:
                dense, graph = index.dense, index.dense.make_graph()
                start, end = graph.covered, min(len(dense), graph.covered + _STEP)
                slots = np.flatnonzero(index.columns.alive.view[start:end]) + start
                vectors = dense.vectors[slots]
                more = end < len(dense)
            graph.cover(slots, vectors, end)

    def _calibrate(self, index: NamespaceIndex) -> None:
        with index.lock:
            dense = index.dense
            if dense.graph is None or not dense.needs_calibration() or self._stopping.is_set():
                return
            queries = dense.sample()
            alive = index.columns.alive.view[: dense.graph.covered].copy()
        dense.calibrate(queries, alive)


def _same(one: Subject, other: Subject) -> bool:
    return (one.collection, one.namespace) == (other.collection, other.namespace)


def _outdated(index: NamespaceIndex, place: Subject) -> bool:
    return index.position < place.purged


def _nothing(connection: sqlite3.Connection, subject: Subject) -> None:
    """Restore nothing: the snapshot has the same gaps."""
    del connection, subject
