"""The blocking facade."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from sfm_core.blocking.calls import BlockingCalls
from sfm_core.engine.restore import Permits
from sfm_core.engine.transfer import Progress
from sfm_core.errors import SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import EventPage, EventType
from sfm_core.model.link import DEFAULT_LINK_TYPE, Link
from sfm_core.model.memory import AccessStatistics, Episode, Memory, MemoryType, NewMemory
from sfm_core.model.payload import Payload
from sfm_core.model.position import WritePosition
from sfm_core.model.query import Recalled, RecallQuery
from sfm_core.model.report import (
    CheckReport,
    CollectionState,
    Health,
    ImportReport,
    Lag,
    Removed,
    ReplayReport,
    Stats,
    Stored,
)
from sfm_core.protocols.graph import Direction

_PAGE = 256
"""Lines that cross between the threads at once, because each crossing costs more than a line."""


class BlockingMemory(BlockingCalls):
    """An agent's memory; every method waits for its answer.

    Open it with `with`. On leaving, calls that other threads still wait for are
    finished, then the engine is closed as `open_engine` does. The methods are
    those of `MemoryEngine`, with the same arguments, answers and errors. In
    addition each raises `ClosedError` before it is opened and after it was
    closed, and `RuntimeError` from the engine's own thread, as in a progress
    callback, where waiting would never end.

    Raises:
        RuntimeError: It is opened although it is open.
    """

    def store(self, namespace: str, memory: NewMemory) -> Stored:
        """See `MemoryEngine.store`."""
        return self._call(lambda engine: engine.store(namespace, memory))

    def store_many(self, namespace: str, memories: Sequence[NewMemory]) -> list[Stored | SfmError]:
        """See `MemoryEngine.store_many`."""
        return self._call(lambda engine: engine.store_many(namespace, memories))

    def remember(
        self,
        namespace: str,
        payload: Payload,
        *,
        type: MemoryType = MemoryType.EPISODIC,
        importance: float | None = None,
        ttl: timedelta | None = None,
        episode: Episode | None = None,
    ) -> Stored:
        """See `MemoryEngine.remember`."""
        return self._call(
            lambda engine: engine.remember(
                namespace, payload, type=type, importance=importance, ttl=ttl, episode=episode
            )
        )

    def get(self, namespace: str, coordinate: Coordinate) -> Memory:
        """See `MemoryEngine.get`."""
        return self._call(lambda engine: engine.get(namespace, coordinate))

    def get_many(self, namespace: str, coordinates: Sequence[Coordinate]) -> list[Memory | None]:
        """See `MemoryEngine.get_many`."""
        return self._call(lambda engine: engine.get_many(namespace, coordinates))

    def access(self, namespace: str, coordinate: Coordinate) -> AccessStatistics:
        """See `MemoryEngine.access`."""
        return self._call(lambda engine: engine.access(namespace, coordinate))

    def history(self, namespace: str, coordinate: Coordinate, *, limit: int = 100) -> list[Memory]:
        """See `MemoryEngine.history`."""
        return self._call(lambda engine: engine.history(namespace, coordinate, limit=limit))

    def delete(
        self, namespace: str, coordinate: Coordinate, *, expected_version: int | None = None
    ) -> Removed:
        """See `MemoryEngine.delete`."""
        return self._call(
            lambda engine: engine.delete(namespace, coordinate, expected_version=expected_version)
        )

    def delete_many(self, namespace: str, coordinates: Sequence[Coordinate]) -> Removed:
        """See `MemoryEngine.delete_many`."""
        return self._call(lambda engine: engine.delete_many(namespace, coordinates))

    def set_importance(
        self,
        namespace: str,
        coordinate: Coordinate,
        importance: float,
        *,
        expected_version: int | None = None,
    ) -> Stored:
        """See `MemoryEngine.set_importance`."""
        return self._call(
            lambda engine: engine.set_importance(
                namespace, coordinate, importance, expected_version=expected_version
            )
        )

    def wait_for(self, *positions: WritePosition) -> bool:
        """See `MemoryEngine.wait_for`."""
        return self._call(lambda engine: engine.wait_for(*positions))

    def recall(self, namespace: str, query: RecallQuery) -> list[Recalled]:
        """See `MemoryEngine.recall`."""
        return self._call(lambda engine: engine.recall(namespace, query))

    def recall_many(self, namespace: str, queries: Sequence[RecallQuery]) -> list[list[Recalled]]:
        """See `MemoryEngine.recall_many`."""
        return self._call(lambda engine: engine.recall_many(namespace, queries))

    def range(
        self,
        namespace: str,
        low: Coordinate,
        high: Coordinate,
        *,
        type: MemoryType | None = None,
        limit: int = 1000,
    ) -> list[Coordinate]:
        """See `MemoryEngine.range`."""
        return self._call(lambda engine: engine.range(namespace, low, high, type=type, limit=limit))

    def link(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        type: str = DEFAULT_LINK_TYPE,
        weight: float = 1.0,
    ) -> Link:
        """See `MemoryEngine.link`."""
        return self._call(
            lambda engine: engine.link(namespace, source, target, type=type, weight=weight)
        )

    def unlink(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        type: str = DEFAULT_LINK_TYPE,
    ) -> Removed:
        """See `MemoryEngine.unlink`."""
        return self._call(lambda engine: engine.unlink(namespace, source, target, type=type))

    def neighbors(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        link_type: str | None = None,
        direction: Direction = Direction.OUT,
        limit: int = 100,
    ) -> list[Link]:
        """See `MemoryEngine.neighbors`."""
        return self._call(
            lambda engine: engine.neighbors(
                namespace, coordinate, link_type=link_type, direction=direction, limit=limit
            )
        )

    def shortest_path(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        link_type: str | None = None,
    ) -> list[Coordinate]:
        """See `MemoryEngine.shortest_path`."""
        return self._call(
            lambda engine: engine.shortest_path(namespace, source, target, link_type=link_type)
        )

    def stats(self, namespace: str) -> Stats:
        """See `MemoryEngine.stats`."""
        return self._call(lambda engine: engine.stats(namespace))

    def namespaces(self) -> list[str]:
        """See `MemoryEngine.namespaces`."""
        return self._call(lambda engine: engine.namespaces())

    def export(self, namespaces: Sequence[str] | None = None) -> Iterator[bytes]:
        """See `MemoryEngine.export`; the lines come as they are asked for.

        Args:
            namespaces: What to export; everything by default.

        Returns:
            Lines without their ends.
        """
        return self._stream(lambda engine: engine.export(namespaces), at_once=_PAGE)

    def follow_events(
        self,
        namespace: str | None,
        *,
        after: str = "now",
        types: Collection[EventType] | None = None,
        limit: int = 100,
        idle: timedelta = timedelta(seconds=15),
    ) -> Iterator[EventPage]:
        """See `MemoryEngine.follow_events`; the pages come as they are asked for."""
        return self._stream(
            lambda engine: engine.follow_events(
                namespace, after=after, types=types, limit=limit, idle=idle
            ),
            at_once=1,
        )

    def import_lines(
        self,
        lines: Iterable[bytes],
        *,
        default_namespace: str,
        progress: Progress | None = None,
        permits: Permits | None = None,
    ) -> ImportReport:
        """See `MemoryEngine.import_lines`.

        Args:
            lines: One JSON object each. They are drawn in another thread.
            default_namespace: For lines that name none.
            progress: Told how many lines were dealt with, in the engine's thread.
            permits: Tells of a namespace whether lines may be about it, in the engine's thread.

        Returns:
            What was imported, and which lines were left out and why.
        """
        return self._call(
            lambda engine: engine.import_lines(
                _drawn(lines),
                default_namespace=default_namespace,
                progress=progress,
                permits=permits,
            )
        )

    def rebuild(self, *, progress: Progress | None = None) -> int:
        """See `MemoryEngine.rebuild`; `progress` is called in the engine's thread."""
        return self._call(lambda engine: engine.rebuild(progress=progress))

    def replay_events(
        self,
        since: datetime,
        *,
        namespaces: Sequence[str] | None = None,
        dry_run: bool = False,
        progress: Progress | None = None,
    ) -> ReplayReport:
        """See `MemoryEngine.replay_events`; `progress` is called in the engine's thread."""
        return self._call(
            lambda engine: engine.replay_events(
                since, namespaces=namespaces, dry_run=dry_run, progress=progress
            )
        )

    def collections(self) -> list[CollectionState]:
        """See `MemoryEngine.collections`."""
        return self._call(lambda engine: engine.collections())

    def drop_collection(self, name: str) -> None:
        """See `MemoryEngine.drop_collection`."""
        return self._call(lambda engine: engine.drop_collection(name))

    def check(self, *, repair: bool = False, progress: Progress | None = None) -> CheckReport:
        """See `MemoryEngine.check`; `progress` is called in the engine's thread."""
        return self._call(lambda engine: engine.check(repair=repair, progress=progress))

    def follow_up(self) -> int:
        """See `MemoryEngine.follow_up`."""
        return self._call(lambda engine: engine.follow_up())

    def lag(self) -> Lag:
        """See `MemoryEngine.lag`."""
        return self._call(lambda engine: engine.lag())

    def health(self) -> Health:
        """See `MemoryEngine.health`."""
        return self._call(lambda engine: engine.health())


async def _drawn(lines: Iterable[bytes]) -> AsyncIterator[bytes]:
    """Draw lines in a worker thread, because a file may make the event loop wait."""
    source = iter(lines)
    while page := await asyncio.to_thread(lambda: list(islice(source, _PAGE))):
        for line in page:
            yield line
