"""The reference graph store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sfm_core.inprocess._base import InProcessBackend
from sfm_core.inprocess._ordered import OrderedMap
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import link_key
from sfm_core.porting import check_batch
from sfm_core.protocols.graph import Direction, Edge, EdgeId


class _Edges:
    def __init__(self) -> None:
        self.all: OrderedMap[Edge] = OrderedMap()
        self._at: dict[tuple[Direction, Coordinate], dict[EdgeId, Edge]] = {}

    def put(self, edge: Edge) -> None:
        self.all.put(_key(edge.id), edge)
        for end in _ends(edge.id):
            self._at.setdefault(end, {})[edge.id] = edge

    def remove(self, edge: EdgeId) -> None:
        if self.all.remove(_key(edge)) is not None:
            for end in _ends(edge):
                del self._at[end][edge]
                if not self._at[end]:
                    del self._at[end]

    def at(self, node: Coordinate, direction: Direction) -> list[Edge]:
        return list(self._at.get((direction, node), {}).values())


@dataclass(slots=True)
class GraphState:
    """The edges of every namespace. Stores that are given the same state show the same data."""

    _edges: dict[str, _Edges] = field(default_factory=dict[str, _Edges])

    def edges(self, namespace: str) -> _Edges:
        """Return the edges of a namespace, to read or to change."""
        return self._edges.setdefault(namespace, _Edges())

    def drop(self, namespace: str) -> None:
        """Forget the edges of a namespace."""
        self._edges.pop(namespace, None)

    def clear(self) -> None:
        """Forget the edges of every namespace."""
        self._edges.clear()


class InProcessGraphStore(InProcessBackend):
    """Edges in dictionaries, by either end."""

    def __init__(self, *, state: GraphState | None = None) -> None:
        super().__init__()
        self._state = state or GraphState()

    async def apply(
        self, namespace: str, *, upserts: Sequence[Edge] = (), deletes: Sequence[EdgeId] = ()
    ) -> None:
        """Write and remove edges; see `GraphStore.apply`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` of either; nothing happened.
            ClosedError: The store is not open.
        """
        await self._turn()
        check_batch(len(upserts), "upserts")
        check_batch(len(deletes), "deletes")
        edges = self._state.edges(namespace)
        for edge in upserts:
            edges.put(edge)
        for edge_id in deletes:
            edges.remove(edge_id)

    async def neighbors(
        self,
        namespace: str,
        nodes: Sequence[Coordinate],
        *,
        direction: Direction = Direction.OUT,
        link_type: str | None = None,
        limit: int,
    ) -> list[list[Edge]]:
        """Find the edges at many nodes; see `GraphStore.neighbors`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` nodes.
            ClosedError: The store is not open.
        """
        await self._turn()
        check_batch(len(nodes), "nodes")
        edges = self._state.edges(namespace)
        answers: list[list[Edge]] = []
        for node in nodes:
            found = edges.at(node, direction)
            chosen = [edge for edge in found if link_type is None or edge.id.type == link_type]
            chosen.sort(key=lambda edge: _rank(edge, direction))
            answers.append(chosen[:limit])
        return answers

    async def scroll(self, namespace: str, *, after: EdgeId | None, limit: int) -> list[Edge]:
        """List the edges of a namespace in order of their keys; see `GraphStore.scroll`.

        Raises:
            ClosedError: The store is not open.
        """
        await self._turn()
        key = None if after is None else _key(after)
        return self._state.edges(namespace).all.read_after(key, limit)

    async def drop(self, namespace: str) -> None:
        """Remove every edge of a namespace; see `GraphStore.drop`.

        Raises:
            ClosedError: The store is not open.
        """
        await self._turn()
        self._state.drop(namespace)


def _key(edge: EdgeId) -> bytes:
    return link_key(edge.source, edge.type, edge.target)


def _ends(edge: EdgeId) -> tuple[tuple[Direction, Coordinate], ...]:
    return (Direction.OUT, edge.source), (Direction.IN, edge.target)


def _rank(edge: Edge, direction: Direction) -> tuple[float, bytes, str]:
    other = edge.id.target if direction is Direction.OUT else edge.id.source
    return edge.weight, other.key, edge.id.type
