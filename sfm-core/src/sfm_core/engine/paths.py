"""Shortest paths: Dijkstra's algorithm over batched frontiers of the graph store.

E. W. Dijkstra, "A note on two problems in connexion with graphs", 1959. Nodes
are settled in order of their distance; the edges of many nodes are fetched in
one round trip by asking ahead for the nearest nodes that are still open.

The graph store is trusted at first, and what it gives is confirmed by the
truth. Only where that fails is the search done again with every edge confirmed
before it is followed. A store that finds paths by itself is asked for the first.
"""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TypeAlias

from sfm_core.engine.expecting import not_found
from sfm_core.engine.inputs import check_namespace
from sfm_core.engine.links import Linking
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.errors import LimitExceededError, UnsupportedError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import link_key
from sfm_core.model.names import check_name
from sfm_core.protocols.graph import Edge, EdgeId
from sfm_core.protocols.optional import SupportsShortestPath

MAX_NODES = 100_000
MAX_DEGREE = 10_000
FRONTIER = 256

Confirm: TypeAlias = Callable[[str, Sequence[EdgeId]], Awaitable[set[EdgeId]]]
"""Keeps, of the edges of a namespace, those that the truth holds."""


class PathFinding:
    """Finds shortest paths that the truth confirms."""

    def __init__(self, stores: Stores, truth: Truth, linking: Linking) -> None:
        """Search the graph store; confirm with `linking`."""
        self._stores = stores
        self._truth = truth
        self._linking = linking

    async def shortest_path(
        self, namespace: str, source: Coordinate, target: Coordinate, link_type: str | None
    ) -> list[Coordinate]:
        """Find the path with the least weight; see `MemoryEngine.shortest_path`."""
        check_namespace(namespace)
        if link_type is not None:
            check_name(link_type, field="link_type")
        now = self._stores.clock.now()
        states = await self._truth.memories(namespace, [source, target])
        for coordinate, state in zip((source, target), states, strict=True):
            if state.record is None or not state.record.alive(now):
                raise not_found(coordinate)
        path = await self._trusted(namespace, source, target, link_type)
        if len(await self._confirmed(namespace, path)) < len(path):
            search = _Search(self._stores, namespace, link_type, confirm=self._confirmed)
            path = await search.run(source, target)
        nodes = [source, *(edge.target for edge in path)]
        return nodes if path or source == target else []

    async def _trusted(
        self, namespace: str, source: Coordinate, target: Coordinate, link_type: str | None
    ) -> list[EdgeId]:
        graph = self._stores.graph
        if isinstance(graph, SupportsShortestPath):
            # What cannot be done there is done here.
            with suppress(UnsupportedError):
                found = await graph.shortest_path(
                    namespace, source, target, link_type=link_type, max_nodes=MAX_NODES
                )
                return found or []
        return await _Search(self._stores, namespace, link_type).run(source, target)

    async def _confirmed(self, namespace: str, edges: Sequence[EdgeId]) -> set[EdgeId]:
        keys = [link_key(edge.source, edge.type, edge.target) for edge in edges]
        return {
            EdgeId(source=link.source, type=link.type, target=link.target)
            for link in await self._linking.living(namespace, keys)
        }


class _Search:
    """One run of the algorithm."""

    def __init__(
        self,
        stores: Stores,
        namespace: str,
        link_type: str | None,
        *,
        confirm: Confirm | None = None,
    ) -> None:
        self._graph = stores.graph
        self._namespace = namespace
        self._link_type = link_type
        self._confirm = confirm
        self._edges: dict[Coordinate, list[Edge]] = {}
        self._came_by: dict[Coordinate, EdgeId] = {}
        self._distance: dict[Coordinate, float] = {}
        self._open: list[tuple[float, Coordinate]] = []
        # Nodes that have more links than are read at once.
        self._cut: set[Coordinate] = set()

    async def run(self, source: Coordinate, target: Coordinate) -> list[EdgeId]:
        self._distance[source] = 0.0
        self._open = [(0.0, source)]
        settled: set[Coordinate] = set()
        while self._open:
            distance, node = heapq.heappop(self._open)
            if node in settled:
                continue
            if node == target:
                return self._trace(source, target)
            settled.add(node)
            if len(settled) > MAX_NODES:
                raise _too_large(f"No path was found among the {MAX_NODES} nearest memories.")
            for edge in await self._edges_of(node, settled):
                self._relax(distance, edge)
            if node in self._cut:
                raise _too_large(f"The memory at {node} has {MAX_DEGREE} links or more.")
        return []

    async def _edges_of(self, node: Coordinate, settled: set[Coordinate]) -> Sequence[Edge]:
        if node not in self._edges:
            ahead = [
                near
                for _, near in heapq.nsmallest(FRONTIER, self._open)
                if near not in settled and near not in self._edges
            ]
            nodes = list(dict.fromkeys([node, *ahead]))
            found = await self._graph.neighbors(
                self._namespace, nodes, link_type=self._link_type, limit=MAX_DEGREE
            )
            self._cut.update(
                at for at, edges in zip(nodes, found, strict=True) if len(edges) == MAX_DEGREE
            )
            if self._confirm is not None:
                offered = [edge.id for edges in found for edge in edges]
                alive = await self._confirm(self._namespace, offered)
                found = [[edge for edge in edges if edge.id in alive] for edges in found]
            self._edges.update(zip(nodes, found, strict=True))
        return self._edges.pop(node)

    def _relax(self, distance: float, edge: Edge) -> None:
        reached = distance + edge.weight
        known = self._distance.get(edge.id.target)
        if known is None or reached < known:
            self._distance[edge.id.target] = reached
            self._came_by[edge.id.target] = edge.id
            heapq.heappush(self._open, (reached, edge.id.target))

    def _trace(self, source: Coordinate, target: Coordinate) -> list[EdgeId]:
        path: list[EdgeId] = []
        node = target
        while node != source:
            path.append(self._came_by[node])
            node = path[-1].source
        path.reverse()
        return path


def _too_large(message: str) -> LimitExceededError:
    return LimitExceededError(message, field="to", remedy="Narrow the search with link_type.")
