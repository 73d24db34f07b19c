"""A memory in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Literal, cast

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import EventType
from sfm_core.model.memory import Episode, NewMemory
from sfm_server import pages, wire, wire_links, wire_purges
from sfm_server.clients.protocol import Item, Progress, Question
from sfm_server.deleting import delete_at, delete_picked
from sfm_server.freshness import is_stale
from sfm_server.idempotency import key_of
from sfm_server.importing import Import
from sfm_server.picked import Picked
from sfm_server.recalling import Wishes, answer, scored
from sfm_server.schemas import links
from sfm_server.schemas.admin import CheckAnswer, ImportAnswer, ImportMode, RebuildAnswer
from sfm_server.schemas.collections import CollectionsAnswer, DroppedAnswer
from sfm_server.schemas.events import EventsAnswer, ReplayAnswer
from sfm_server.schemas.listings import CoordsAnswer
from sfm_server.schemas.memories import (
    DeletedAnswer,
    DeletedManyAnswer,
    HistoryAnswer,
    MemoryAnswer,
    StoredAnswer,
    StoredManyAnswer,
)
from sfm_server.schemas.purges import PurgedAnswer, PurgedManyAnswer
from sfm_server.schemas.recall import ResultsAnswer
from sfm_server.schemas.system import HealthAnswer, StatsAnswer
from sfm_server.schemas.values import TypeName


class LocalClient:
    """Uses an engine of this process; see `MemoryClient`."""

    def __init__(self, engine: MemoryEngine, *, namespace: str) -> None:
        """Use `engine`, which the caller closes, in `namespace`."""
        self._engine = engine
        self._namespace = namespace

    async def store(self, item: Item, *, key: str | None = None) -> StoredAnswer:
        """Store a memory."""
        memory, once = _new_memory(item), key_of(key)
        if item.coord is not None:
            return wire.stored(
                await self._engine.store(self._namespace, memory, idempotency_key=once)
            )
        result = await self._engine.remember(
            self._namespace,
            memory.payload,
            type=memory.type,
            importance=memory.importance,
            ttl=memory.ttl,
            episode=memory.episode,
            idempotency_key=once,
        )
        return wire.stored(result)

    async def store_many(
        self, items: Sequence[Item], *, key: str | None = None
    ) -> StoredManyAnswer:
        """Store many memories, each at a coordinate that it names."""
        memories = [
            _new_memory(item, field=f"items[{place}].coord") for place, item in enumerate(items)
        ]
        results = await self._engine.store_many(
            self._namespace, memories, idempotency_key=key_of(key)
        )
        return wire.stored_many(results)

    async def recall(self, question: Question) -> ResultsAnswer:
        """Recall what answers a question."""
        query = wire.recall_query(
            question.query,
            top_k=question.top_k,
            type_name=question.type,
            filters=question.filters,
            context=question.context,
            arms=question.mode,
            as_of=question.as_of,
        )
        at = question.why_not
        wishes = Wishes(
            min_position=question.min_position,
            deadline_ms=question.deadline_ms,
            why_not=None if at is None else Coordinate.parse(at, field="why_not"),
        )
        if question.deadline_ms is not None:
            # This process has just begun: opening the memory is not part of the question.
            await self._engine.warm_up()
        told = await answer(self._engine, self._namespace, [query], wishes)
        [found] = told.found
        results = [scored(one, explain=question.explain) for one in found]
        return ResultsAnswer(
            results=results,
            stale=told.stale,
            left_out=told.left_out,
            incomplete=told.incomplete,
            why_not=told.why_not,
        )

    async def get(self, coord: str, *, as_of: str | None = None) -> MemoryAnswer:
        """Read a memory."""
        at, then = Coordinate.parse(coord), wire.moment_or_none(as_of, field="as_of")
        memory = await self._engine.get(self._namespace, at, as_of=then)
        access = None if then else await self._engine.access(self._namespace, at)
        return wire.memory(memory, access)

    async def history(self, coord: str, limit: int, *, cursor: str | None = None) -> HistoryAnswer:
        """Read the kept versions of a memory."""
        at = Coordinate.parse(coord)
        return await pages.history_page(
            self._engine, self._namespace, at, limit=limit, cursor=cursor
        )

    async def delete(
        self, coord: str, expected_version: int | None, *, key: str | None = None
    ) -> DeletedAnswer:
        """Delete a memory; `NotFoundError` if there is none."""
        at = Coordinate.parse(coord)
        deleted = await self._engine.delete(
            self._namespace, at, expected_version=expected_version, idempotency_key=key_of(key)
        )
        wire.need(bool(deleted), f"memory at {at}")
        return wire.deleted(deleted)

    async def delete_many(
        self, coords: Sequence[str], *, key: str | None = None, dry_run: bool = False
    ) -> DeletedManyAnswer:
        """Delete many memories, passing over those that do not exist."""
        coordinates = [
            Coordinate.parse(coord, field=f"coords[{place}]") for place, coord in enumerate(coords)
        ]
        return await delete_at(
            self._engine, self._namespace, coordinates, key=key_of(key), dry_run=dry_run
        )

    async def delete_picked(
        self, picked: Picked, *, key: str | None = None, dry_run: bool = False
    ) -> DeletedManyAnswer:
        """Delete what a filter picks among so many memories."""
        return await delete_picked(
            self._engine, self._namespace, picked, key=key_of(key), dry_run=dry_run
        )

    async def purge(self, coords: Sequence[str], *, key: str | None = None) -> PurgedAnswer:
        """Remove memories for good, those that were deleted before, too."""
        coordinates = [
            Coordinate.parse(coord, field=f"coords[{place}]") for place, coord in enumerate(coords)
        ]
        result = await self._engine.purge_many(
            self._namespace, coordinates, idempotency_key=key_of(key)
        )
        return wire_purges.purged(result)

    async def purge_picked(self, picked: Picked, *, key: str | None = None) -> PurgedManyAnswer:
        """Remove for good what a filter picks among so many memories."""
        answer = await delete_picked(
            self._engine, self._namespace, picked, key=key_of(key), dry_run=False, purge=True
        )
        return cast(PurgedManyAnswer, answer)

    async def link(
        self,
        source: str,
        target: str,
        type_name: str,
        weight: float,
        *,
        key: str | None = None,
    ) -> links.LinkedAnswer:
        """Link two memories."""
        made = await self._engine.link(
            self._namespace,
            Coordinate.parse(source, field="from_coord"),
            Coordinate.parse(target, field="to_coord"),
            type=type_name,
            weight=weight,
            idempotency_key=key_of(key),
        )
        return wire_links.linked(made)

    async def unlink(
        self, source: str, target: str, type_name: str, *, key: str | None = None
    ) -> links.UnlinkedAnswer:
        """Remove a link; `NotFoundError` if there is none."""
        removed = await self._engine.unlink(
            self._namespace,
            Coordinate.parse(source, field="from_coord"),
            Coordinate.parse(target, field="to_coord"),
            type=type_name,
            idempotency_key=key_of(key),
        )
        wire.need(bool(removed), "such link")
        return links.UnlinkedAnswer(position=str(removed.position))

    async def neighbors(
        self,
        coord: str,
        *,
        link_type: str | None,
        direction: Literal["out", "in"],
        limit: int,
        min_position: str | None = None,
        cursor: str | None = None,
    ) -> links.NeighborsAnswer:
        """List the links at a memory."""
        at = Coordinate.parse(coord)
        stale = await is_stale(self._engine, min_position)
        return await pages.neighbors_page(
            self._engine,
            self._namespace,
            at,
            link_type=link_type,
            direction=direction,
            limit=limit,
            cursor=cursor,
            stale=stale,
        )

    async def path(
        self, source: str, target: str, link_type: str | None, *, min_position: str | None = None
    ) -> links.PathAnswer:
        """Find the shortest path between two memories."""
        ends = Coordinate.parse(source, field="frm"), Coordinate.parse(target, field="to")
        stale = await is_stale(self._engine, min_position)
        path = await self._engine.shortest_path(self._namespace, *ends, link_type=link_type)
        return links.PathAnswer(path=[str(one) for one in path], stale=stale)

    async def range(
        self,
        low: str,
        high: str,
        *,
        type_name: TypeName | None,
        limit: int,
        cursor: str | None = None,
        as_of: str | None = None,
    ) -> CoordsAnswer:
        """List the coordinates in a box."""
        return await pages.range_page(
            self._engine,
            self._namespace,
            (Coordinate.parse(low, field="min"), Coordinate.parse(high, field="max")),
            type_name=type_name,
            limit=limit,
            cursor=cursor,
            as_of=wire.moment_or_none(as_of, field="as_of"),
        )

    async def stats(self) -> StatsAnswer:
        """Count memories and links."""
        counted = await self._engine.stats(self._namespace)
        return wire.stats(self._namespace, counted, await self._engine.namespaces())

    async def health(self) -> HealthAnswer:
        """Ask every backend how it does."""
        return wire.health(await self._engine.health())

    def export(self, namespaces: Sequence[str] | None) -> AsyncGenerator[bytes]:
        """Read everything as JSON Lines, without line ends."""
        return self._engine.export(namespaces)

    async def import_lines(
        self,
        lines: AsyncGenerator[bytes],
        progress: Progress,
        *,
        mode: ImportMode = ImportMode.LINES,
        key: str | None = None,
    ) -> ImportAnswer:
        """Store what JSON Lines say."""
        importing = Import(namespace=self._namespace, mode=mode, key=key_of(key), progress=progress)
        return wire.import_report(await importing.run(self._engine, lines))

    async def collections(self) -> CollectionsAnswer:
        """List the collections of the vector store."""
        listed = await self._engine.collections()
        return CollectionsAnswer(collections=[wire.collection(one) for one in listed])

    async def drop_collection(self, name: str) -> DroppedAnswer:
        """Drop a collection that nothing needs."""
        await self._engine.drop_collection(name)
        return DroppedAnswer(dropped=name)

    async def rebuild(self, progress: Progress) -> RebuildAnswer:
        """Remake every derived store."""
        return RebuildAnswer(rebuilt=await self._engine.rebuild(progress=progress))

    async def check(self, *, repair: bool, progress: Progress) -> CheckAnswer:
        """Compare derived stores with the truth, and repair them if asked to."""
        return wire.check_report(await self._engine.check(repair=repair, progress=progress))

    async def follow_events(
        self, after: str, types: Sequence[str], *, all_namespaces: bool
    ) -> AsyncGenerator[EventsAnswer]:
        """Read the event log, and go on with what happens."""
        pages = self._engine.follow_events(
            None if all_namespaces else self._namespace,
            after=after,
            types=[EventType(name) for name in types] or None,
        )
        async with aclosing(pages):
            async for page in pages:
                yield wire.events(page)

    async def replay_events(
        self,
        since: str,
        namespaces: Sequence[str] | None,
        *,
        dry_run: bool,
        progress: Progress,
    ) -> ReplayAnswer:
        """Tell again what changed since a time."""
        report = await self._engine.replay_events(
            wire.moment(since, field="from"),
            namespaces=namespaces,
            dry_run=dry_run,
            progress=progress,
        )
        return wire.replay_report(report)


def _new_memory(item: Item, *, field: str = "coord") -> NewMemory:
    episode = item.episode
    return wire.new_memory(
        Coordinate.parse("0" if item.coord is None else item.coord, field=field),
        item.payload,
        type_name=item.type,
        importance=item.importance,
        ttl_seconds=item.ttl_seconds,
        episode=None if episode is None else Episode(name=episode.name, order=episode.order),
        expected_version=item.expected_version,
    )
