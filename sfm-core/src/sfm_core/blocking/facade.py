"""The blocking facade."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice

from sfm_core.blocking.writing import BlockingWriting
from sfm_core.engine.import_lines import Permits
from sfm_core.engine.importing import Progress
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import EventPage, EventType
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.link import Link, LinkPlace
from sfm_core.model.memory import AccessStatistics, Memory, MemoryType
from sfm_core.model.page import Page
from sfm_core.model.position import WritePosition
from sfm_core.model.query import Recalled, RecallQuery, TimelyAnswer
from sfm_core.model.report import (
    CheckReport,
    CollectionState,
    Health,
    ImportReport,
    Lag,
    ReplayReport,
    Stats,
)
from sfm_core.model.why_not import WhyNot
from sfm_core.protocols.graph import Direction

_PAGE = 256
"""Lines that cross between the threads at once, because each crossing costs more than a line."""


class BlockingMemory(BlockingWriting):
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

    def get(
        self, namespace: str, coordinate: Coordinate, *, as_of: datetime | None = None
    ) -> Memory:
        """See `MemoryEngine.get`."""
        return self._call(lambda engine: engine.get(namespace, coordinate, as_of=as_of))

    def get_many(self, namespace: str, coordinates: Sequence[Coordinate]) -> list[Memory | None]:
        """See `MemoryEngine.get_many`."""
        return self._call(lambda engine: engine.get_many(namespace, coordinates))

    def access(self, namespace: str, coordinate: Coordinate) -> AccessStatistics:
        """See `MemoryEngine.access`."""
        return self._call(lambda engine: engine.access(namespace, coordinate))

    def history(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        before: int | None = None,
        limit: int = 100,
    ) -> list[Memory]:
        """See `MemoryEngine.history`."""
        return self._call(
            lambda engine: engine.history(namespace, coordinate, before=before, limit=limit)
        )

    def history_page(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        before: int | None = None,
        limit: int = 100,
    ) -> Page[Memory]:
        """See `MemoryEngine.history_page`."""
        return self._call(
            lambda engine: engine.history_page(namespace, coordinate, before=before, limit=limit)
        )

    def wait_for(self, *positions: WritePosition) -> bool:
        """See `MemoryEngine.wait_for`."""
        return self._call(lambda engine: engine.wait_for(*positions))

    def warm_up(self) -> None:
        """See `MemoryEngine.warm_up`."""
        return self._call(lambda engine: engine.warm_up())

    def recall(self, namespace: str, query: RecallQuery) -> list[Recalled]:
        """See `MemoryEngine.recall`."""
        return self._call(lambda engine: engine.recall(namespace, query))

    def recall_many(self, namespace: str, queries: Sequence[RecallQuery]) -> list[list[Recalled]]:
        """See `MemoryEngine.recall_many`."""
        return self._call(lambda engine: engine.recall_many(namespace, queries))

    def recall_within(
        self, namespace: str, query: RecallQuery, deadline: timedelta
    ) -> TimelyAnswer:
        """See `MemoryEngine.recall_within`."""
        return self._call(lambda engine: engine.recall_within(namespace, query, deadline))

    def recall_many_within(
        self, namespace: str, queries: Sequence[RecallQuery], deadline: timedelta
    ) -> list[TimelyAnswer]:
        """See `MemoryEngine.recall_many_within`."""
        return self._call(lambda engine: engine.recall_many_within(namespace, queries, deadline))

    def why_not(self, namespace: str, query: RecallQuery, coordinate: Coordinate) -> WhyNot:
        """See `MemoryEngine.why_not`."""
        return self._call(lambda engine: engine.why_not(namespace, query, coordinate))

    def range(
        self,
        namespace: str,
        low: Coordinate,
        high: Coordinate,
        *,
        type: MemoryType | None = None,
        after: Coordinate | None = None,
        limit: int = 1000,
        as_of: datetime | None = None,
    ) -> list[Coordinate]:
        """See `MemoryEngine.range`."""
        return self._call(
            lambda engine: engine.range(
                namespace, low, high, type=type, after=after, limit=limit, as_of=as_of
            )
        )

    def list_memories(
        self,
        namespace: str,
        *,
        type: MemoryType | None = None,
        after: Coordinate | None = None,
        limit: int = 100,
    ) -> list[Memory]:
        """See `MemoryEngine.list_memories`."""
        return self._call(
            lambda engine: engine.list_memories(namespace, type=type, after=after, limit=limit)
        )

    def memories_page(
        self,
        namespace: str,
        *,
        type: MemoryType | None = None,
        after: Coordinate | None = None,
        limit: int = 100,
    ) -> Page[Memory]:
        """See `MemoryEngine.memories_page`."""
        return self._call(
            lambda engine: engine.memories_page(namespace, type=type, after=after, limit=limit)
        )

    def neighbors(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        link_type: str | None = None,
        direction: Direction = Direction.OUT,
        after: LinkPlace | None = None,
        limit: int = 100,
    ) -> list[Link]:
        """See `MemoryEngine.neighbors`."""
        return self._call(
            lambda engine: engine.neighbors(
                namespace,
                coordinate,
                link_type=link_type,
                direction=direction,
                after=after,
                limit=limit,
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

    def namespaces(self, *, after: str = "", limit: int | None = None) -> list[str]:
        """See `MemoryEngine.namespaces`."""
        return self._call(lambda engine: engine.namespaces(after=after, limit=limit))

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
        idempotency_key: IdempotencyKey | None = None,
        dry_run: bool = False,
    ) -> ImportReport:
        """See `MemoryEngine.import_lines`.

        Args:
            lines: One JSON object each. They are drawn in another thread.
            default_namespace: For lines that name none.
            progress: Told how many lines were dealt with, in the engine's thread.
            permits: Tells of a namespace whether lines may be about it, in the engine's thread.
            idempotency_key: Names this import, so that each line is dealt with once.
            dry_run: Only say what would be imported.

        Returns:
            What was imported, and which lines were left out and why.
        """
        return self._call(
            lambda engine: engine.import_lines(
                _drawn(lines),
                default_namespace=default_namespace,
                progress=progress,
                permits=permits,
                idempotency_key=idempotency_key,
                dry_run=dry_run,
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
