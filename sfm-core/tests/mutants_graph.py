"""Graph stores that break one promise each.

Each is listed at the end with the test that has to fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sfm_core.inprocess import (
    InProcessGraphStore,
)
from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.graph import Direction, Edge, EdgeId


class AnswersAboutNodesDifferently(InProcessGraphStore):
    """Changes each list of neighbours."""

    wide = False

    def changed(self, edges: list[Edge], limit: int) -> list[Edge]:
        raise NotImplementedError

    async def neighbors(
        self,
        namespace: str,
        nodes: Sequence[Coordinate],
        *,
        direction: Direction = Direction.OUT,
        link_type: str | None = None,
        limit: int,
    ) -> list[list[Edge]]:
        found = await super().neighbors(
            namespace,
            nodes,
            direction=direction,
            link_type=link_type,
            limit=MAX_BATCH if self.wide else limit,
        )
        return [self.changed(edges, limit) for edges in found]


class HeaviestFirst(AnswersAboutNodesDifferently):
    wide = True

    def changed(self, edges: list[Edge], limit: int) -> list[Edge]:
        return edges[::-1][:limit]


class TiesInNoOrder(AnswersAboutNodesDifferently):
    def changed(self, edges: list[Edge], limit: int) -> list[Edge]:
        edges.reverse()
        edges.sort(key=lambda edge: edge.weight)
        return edges[:limit]


class NeighborsUnlimited(AnswersAboutNodesDifferently):
    wide = True

    def changed(self, edges: list[Edge], limit: int) -> list[Edge]:
        return edges[: max(limit, len(edges))]


class WeightsAreSinglePrecision(AnswersAboutNodesDifferently):
    def changed(self, edges: list[Edge], limit: int) -> list[Edge]:
        with np.errstate(over="ignore"):
            return [replace(e, weight=float(np.float32(e.weight))) for e in edges[:limit]]


class EdgeVersionsForgotten(AnswersAboutNodesDifferently):
    def changed(self, edges: list[Edge], limit: int) -> list[Edge]:
        return [replace(edge, version=1) for edge in edges[:limit]]


class TypeNarrowsAfterTheLimit(InProcessGraphStore):
    async def neighbors(
        self,
        namespace: str,
        nodes: Sequence[Coordinate],
        *,
        direction: Direction = Direction.OUT,
        link_type: str | None = None,
        limit: int,
    ) -> list[list[Edge]]:
        found = await super().neighbors(namespace, nodes, direction=direction, limit=limit)
        return [[e for e in edges if link_type in {None, e.id.type}] for edges in found]


class LimitOverAllNodes(InProcessGraphStore):
    async def neighbors(
        self,
        namespace: str,
        nodes: Sequence[Coordinate],
        *,
        direction: Direction = Direction.OUT,
        link_type: str | None = None,
        limit: int,
    ) -> list[list[Edge]]:
        found = await super().neighbors(
            namespace, nodes, direction=direction, link_type=link_type, limit=limit
        )
        left = limit
        for edges in found:
            del edges[left:]
            left -= len(edges)
        return found


class DirectionIgnored(InProcessGraphStore):
    async def neighbors(
        self,
        namespace: str,
        nodes: Sequence[Coordinate],
        *,
        direction: Direction = Direction.OUT,
        link_type: str | None = None,
        limit: int,
    ) -> list[list[Edge]]:
        del direction
        return await super().neighbors(namespace, nodes, link_type=link_type, limit=limit)


class DeleteIgnoresTheType(InProcessGraphStore):
    async def apply(
        self, namespace: str, *, upserts: Sequence[Edge] = (), deletes: Sequence[EdgeId] = ()
    ) -> None:
        await super().apply(namespace, upserts=upserts, deletes=deletes)
        ends = {(edge.source, edge.target) for edge in deletes}
        everything = await self.scroll(namespace, after=None, limit=MAX_BATCH)
        more = [edge.id for edge in everything if (edge.id.source, edge.id.target) in ends]
        await super().apply(namespace, deletes=more)


class DeletesBeforeUpserts(InProcessGraphStore):
    async def apply(
        self, namespace: str, *, upserts: Sequence[Edge] = (), deletes: Sequence[EdgeId] = ()
    ) -> None:
        await super().apply(namespace, deletes=deletes)
        await super().apply(namespace, upserts=upserts)


class LinksGoBothWays(InProcessGraphStore):
    async def apply(
        self, namespace: str, *, upserts: Sequence[Edge] = (), deletes: Sequence[EdgeId] = ()
    ) -> None:
        back = [
            replace(e, id=EdgeId(source=e.id.target, type=e.id.type, target=e.id.source))
            for e in upserts[: MAX_BATCH // 2]
        ]
        await super().apply(namespace, upserts=back)
        await super().apply(namespace, upserts=upserts, deletes=deletes)


class DropByPrefix(InProcessGraphStore):
    async def drop(self, namespace: str) -> None:
        for suffix in ("", "2"):
            await super().drop(namespace + suffix)


GRAPH_MUTANTS: dict[type[InProcessGraphStore], str] = {
    HeaviestFirst: "test_edges_come_lightest_first",
    TiesInNoOrder: "test_edges_come_lightest_first",
    NeighborsUnlimited: "test_the_limit_holds_per_node_and_keeps_the_lightest",
    WeightsAreSinglePrecision: "test_coordinates_weights_and_versions_come_back_exactly",
    EdgeVersionsForgotten: "test_coordinates_weights_and_versions_come_back_exactly",
    TypeNarrowsAfterTheLimit: "test_the_type_narrows_before_the_limit",
    LimitOverAllNodes: "test_the_limit_holds_per_node_and_keeps_the_lightest",
    DirectionIgnored: "test_an_edge_is_found_from_either_end",
    DeleteIgnoresTheType: "test_a_deleted_edge_is_gone_from_both_ends",
    DeletesBeforeUpserts: "test_deletes_come_after_upserts",
    LinksGoBothWays: "test_an_edge_is_found_from_either_end",
    DropByPrefix: "test_dropping_empties_one_namespace",
}
