"""Linking memories and asking who is linked with whom."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sfm_core.engine.changes import Change, Planned, View
from sfm_core.engine.expecting import not_found
from sfm_core.engine.inputs import check_count, check_namespace, check_weight
from sfm_core.engine.link_lines import BroughtLink
from sfm_core.engine.once import Once
from sfm_core.engine.reap_links import removal
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import LinkState, Truth, link_alive, link_of
from sfm_core.engine.writer import Writer
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import EventNote, EventType
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.keys import BACKLINK, LINK, backlink_key, link_key, memory_key, parse_link_key
from sfm_core.model.link import Link, LinkPlace
from sfm_core.model.names import check_name
from sfm_core.model.record import LinkRecord, MemoryRecord, encode_record
from sfm_core.model.report import Removed
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.graph import Direction
from sfm_core.protocols.kv import Commit, Write


class Linking:
    """Links, unlinks and finds neighbours."""

    def __init__(self, stores: Stores, truth: Truth, writer: Writer) -> None:
        """Write through `writer`."""
        self._stores = stores
        self._truth = truth
        self._writer = writer

    async def link(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        link_type: str,
        weight: float,
        *,
        key: IdempotencyKey | None,
    ) -> Link:
        """Link two memories; see `MemoryEngine.link`."""
        once = Once(self._stores, key, "link", str(source), str(target), link_type, float(weight))
        change = self.link_change(namespace, source, target, link_type, weight, updated_at=once.at)
        outcome = await self._writer.write(once.write(change))
        return Link(
            source=source,
            target=target,
            type=link_type,
            weight=float(weight),
            version=outcome.version,
            updated_at=outcome.repeats.at if outcome.repeats else once.at,
            position=outcome.position,
        )

    def link_change(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        link_type: str,
        weight: float,
        *,
        updated_at: datetime | None = None,
        brought: BroughtLink | None = None,
    ) -> Change:
        """Plan a link.

        Args:
            namespace: Where it is to be.
            source: Where it starts.
            target: Where it leads.
            link_type: What it means.
            weight: Cost of following it.
            updated_at: When it was written; by default when it is.
            brought: What else the line of an import says that it comes from; a link that
                is there is then left as it is. By default the next version is written.

        Returns:
            A change that is refused with `NotFoundError` if an end does not live. Of a link
            of an import whose time is over it writes nothing, and its version is 0.

        Raises:
            InvalidInputError: Namespace, type or weight is not acceptable.
        """
        check_namespace(namespace)
        check_name(link_type, field="type")
        weight = check_weight(weight)
        key = link_key(source, link_type, target)
        trace = self._stores.observer.here()
        at = (source, target)

        def plan(view: View) -> Planned:
            now = self._stores.clock.now()
            ends = [self._end(namespace, end, view) for end in at]
            if brought is not None and brought.is_over(ends, now):
                return Planned(commit=None, version=0)
            born = [_life(end, record, now) for end, record in zip(at, ends, strict=True)]
            state = self._truth.link_state(namespace, key, view[key])
            written = state.version + 1
            if brought is not None:
                if brought.is_there(state, born, weight):
                    return Planned(commit=None, version=state.version)
                written = max(brought.version or 1, written)
            record = LinkRecord(
                weight=weight,
                updated_at=updated_at or now,
                source_born=born[0],
                target_born=born[1],
                trace=trace,
            )
            return self._planned(namespace, key, state, record, written)

        keys = tuple(dict.fromkeys((key, memory_key(source), memory_key(target))))
        return Change(namespace=namespace, keys=keys, plan=plan)

    def _end(self, namespace: str, coordinate: Coordinate, view: View) -> MemoryRecord | None:
        key = memory_key(coordinate)
        return self._truth.memory_state(namespace, key, view[key]).record

    def _planned(
        self,
        namespace: str,
        key: bytes,
        state: LinkState,
        record: LinkRecord,
        version: int,
    ) -> Planned:
        # Also of a link that is restored: the log is let go of by the time of its entries.
        now = self._stores.clock.now()
        note = EventNote(type=EventType.LINK_STORED, key=key, version=version, at=now)
        is_new = state.record is None or state.record.deleted
        commit = Commit(
            namespace=namespace,
            writes=(
                Write(key, encode_record(record), version),
                Write(backlink_key(*parse_link_key(key)), b""),
            ),
            counters={"links": 1} if is_new else {},
            dirty=(key,),
            events=(note,) if self._stores.settings.event_log else (),
        )
        return Planned(commit=commit, version=version)

    async def unlink(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        link_type: str,
        key: IdempotencyKey | None,
    ) -> Removed:
        """Remove a link; see `MemoryEngine.unlink`."""
        check_namespace(namespace)
        check_name(link_type, field="type")
        link = link_key(source, link_type, target)
        change = removal(self._stores, self._truth, namespace, link, dead=False)
        once = Once(self._stores, key, "unlink", str(source), str(target), link_type)
        return self._writer.removed([await self._writer.write(once.write(change))])

    async def neighbors(
        self,
        namespace: str,
        coordinate: Coordinate,
        *,
        link_type: str | None,
        direction: Direction,
        after: LinkPlace | None,
        limit: int,
    ) -> list[Link]:
        """Find the links at a memory; see `MemoryEngine.neighbors`."""
        check_namespace(namespace)
        check_count(limit, self._stores.settings.limits.max_page, field="limit")
        if link_type is not None:
            check_name(link_type, field="link_type")
        ask = limit
        while after is None and ask <= MAX_BATCH:
            [edges] = await self._stores.graph.neighbors(
                namespace, [coordinate], direction=direction, link_type=link_type, limit=ask
            )
            keys = [link_key(edge.id.source, edge.id.type, edge.id.target) for edge in edges]
            links = await self.living(namespace, keys)
            if len(links) >= limit or len(edges) < ask:
                return _lightest(links, direction, limit)
            ask *= 4
        prefix = (LINK if direction is Direction.OUT else BACKLINK) + coordinate.key
        if link_type is not None:
            prefix += link_type.encode() + b"\0"
        return await self._after(namespace, prefix, direction, after, limit)

    async def _after(
        self,
        namespace: str,
        prefix: bytes,
        direction: Direction,
        after: LinkPlace | None,
        limit: int,
    ) -> list[Link]:
        """Go through all links at a memory in the truth: a graph store finds only the lightest."""
        outgoing = direction is Direction.OUT
        found: list[Link] = []
        async for page in self._truth.pages(namespace, prefix):
            keys = [link_key(*parse_link_key(key)) for key, _ in page]
            found += [
                link
                for link in await self.living(namespace, keys)
                if after is None or link.place(outgoing=outgoing).order > after.order
            ]
            found = _lightest(found, direction, limit)
        return found

    async def living(self, namespace: str, keys: list[bytes]) -> list[Link]:
        """Keep, of the links that a graph store offers, those that the truth holds.

        Args:
            namespace: Where they are.
            keys: Keys of the links.

        Returns:
            The links that exist, in the order of `keys`.

        Raises:
            BackendError: The truth did not answer.
        """
        states = await self._truth.links(namespace, keys)
        ends = await self._truth.link_ends(namespace, keys)
        now = self._stores.clock.now()
        return [
            link_of(key, state.version, state.record)
            for key, state, (source, target) in zip(keys, states, ends, strict=True)
            if state.record is not None and link_alive(state.record, source, target, now)
        ]


def _lightest(links: Sequence[Link], direction: Direction, limit: int) -> list[Link]:
    outgoing = direction is Direction.OUT
    return sorted(links, key=lambda link: link.place(outgoing=outgoing).order)[:limit]


def _life(coordinate: Coordinate, record: MemoryRecord | None, now: datetime) -> int:
    """Return since which version a memory lives; refuse one that does not."""
    if record is None or not record.alive(now):
        raise not_found(coordinate)
    return record.born
