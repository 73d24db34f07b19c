"""The contract of the graph port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise
from typing import ClassVar

import pytest
import pytest_asyncio

from sfm_core.errors import LimitExceededError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import link_key
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.graph import Direction, Edge, EdgeId, GraphStore
from sfm_core.testing.contracts._base import BackendContract, Operation, read_pages
from sfm_core.testing.samples import HOSTILE_COORDINATES, HOSTILE_NAMES, coordinate

_A, _B, _C = coordinate(1.0), coordinate(2.0), coordinate(-3.0, 0.5)


class GraphTests(BackendContract[GraphStore]):
    """Fixtures and shorthands for tests of a graph store."""

    @pytest_asyncio.fixture
    async def store(self, make: Callable[[], GraphStore]) -> AsyncIterator[GraphStore]:
        """Return an open, empty store."""
        async with make() as store:
            yield store

    def operations(self, backend: GraphStore) -> Sequence[Operation]:
        """Return one small call of every method."""
        return (
            backend.ping,
            lambda: backend.apply("n", upserts=[_edge(_A, _B)]),
            lambda: backend.neighbors("n", [_A], limit=1),
            lambda: backend.scroll("n", after=None, limit=1),
            lambda: backend.drop("n"),
        )


class GraphStoreContract(GraphTests):
    """Everything that `GraphStore` promises; override `make`.

    Attributes:
        persistent: Whether edges are still there after closing and opening again.
    """

    persistent: ClassVar[bool] = True

    async def test_an_edge_is_found_from_either_end(
        self, store: GraphStore, namespace: str
    ) -> None:
        """Out of its source and into its target, and in no other place."""
        edge = _edge(_A, _B, weight=0.25, version=7)
        await store.apply(namespace, upserts=[edge])
        nodes = [_A, _B, _C]
        assert await store.neighbors(namespace, nodes, limit=9) == [[edge], [], []]
        into = await store.neighbors(namespace, nodes, direction=Direction.IN, limit=9)
        assert into == [[], [edge], []]

    async def test_nodes_are_answered_in_order(self, store: GraphStore, namespace: str) -> None:
        """Twice where they are asked for twice, and with nothing where nothing is."""
        one, two = _edge(_A, _B), _edge(_B, _C)
        await store.apply(namespace, upserts=[two, one])
        found = await store.neighbors(namespace, [_B, _C, _A, _B], limit=9)
        assert found == [[two], [], [one], [two]]

    async def test_edges_come_lightest_first(self, store: GraphStore, namespace: str) -> None:
        """Then by the key of the other end, then by type; in both directions."""
        ends = sorted((_B, _C, coordinate(0.0)), key=lambda end: end.key)
        ordered = [
            _edge(_A, ends[2], weight=0.0),
            _edge(_A, ends[0], weight=1.0, link_type="a"),
            _edge(_A, ends[0], weight=1.0, link_type="ab"),
            _edge(_A, ends[1], weight=1.0),
            _edge(_A, ends[1], weight=10.0, link_type="heavy"),
        ]
        mirrored = [_edge(e.id.target, e.id.source, e.id.type, weight=e.weight) for e in ordered]
        await store.apply(namespace, upserts=ordered[::-1])
        await store.apply(namespace + "2", upserts=mirrored[::-1])
        assert await store.neighbors(namespace, [_A], limit=9) == [ordered]
        found = await store.neighbors(namespace + "2", [_A], direction=Direction.IN, limit=9)
        assert found == [mirrored]

    async def test_the_limit_holds_per_node_and_keeps_the_lightest(
        self, store: GraphStore, namespace: str
    ) -> None:
        """One busy node does not starve the others."""
        busy = [_edge(_A, coordinate(float(n)), weight=float(n)) for n in range(20)]
        quiet = _edge(_B, _C, weight=99.0)
        await store.apply(namespace, upserts=[*busy[::-1], quiet])
        assert await store.neighbors(namespace, [_A, _B], limit=2) == [busy[:2], [quiet]]

    async def test_the_type_narrows_before_the_limit(
        self, store: GraphStore, namespace: str
    ) -> None:
        """Lighter edges of other types take no places; types are compared exactly."""
        others = [_edge(_A, coordinate(float(n)), weight=0.0, link_type="Cites") for n in range(9)]
        wanted = _edge(_A, _B, weight=5.0, link_type="cites")
        await store.apply(namespace, upserts=[*others, wanted])
        found = await store.neighbors(namespace, [_A], link_type="cites", limit=2)
        assert found == [[wanted]]
        assert await store.neighbors(namespace, [_A], link_type="none", limit=2) == [[]]

    async def test_types_that_look_alike_stay_apart(
        self, store: GraphStore, namespace: str
    ) -> None:
        """The type is part of what a link is, so two memories can be linked once per type."""
        edges = [
            _edge(_A, _B, name, weight=float(place)) for place, name in enumerate(HOSTILE_NAMES)
        ]
        await store.apply(namespace, upserts=edges)
        assert await store.neighbors(namespace, [_A], limit=99) == [edges]
        for edge in edges:
            found = await store.neighbors(namespace, [_A], link_type=edge.id.type, limit=99)
            assert found == [[edge]]

    async def test_writing_a_link_again_replaces_its_edge(
        self, store: GraphStore, namespace: str
    ) -> None:
        """It is found once, with the new weight and version; of several the last counts."""
        for version, weight in ((1, 1.0), (2, 3.0)):
            await store.apply(namespace, upserts=[_edge(_A, _B, weight=weight, version=version)])
        last = _edge(_A, _B, weight=0.5, version=4)
        assert await store.neighbors(namespace, [_A], limit=9) == [
            [_edge(_A, _B, weight=3.0, version=2)]
        ]
        await store.apply(namespace, upserts=[_edge(_A, _B, weight=9.0, version=3), last])
        assert await store.neighbors(namespace, [_A], limit=9) == [[last]]
        assert await store.scroll(namespace, after=None, limit=9) == [last]

    async def test_a_deleted_edge_is_gone_from_both_ends(
        self, store: GraphStore, namespace: str
    ) -> None:
        """And only that one: not the other direction, not another type; twice is no error."""
        gone, back, other = _edge(_A, _B), _edge(_B, _A), _edge(_A, _B, "other")
        await store.apply(namespace, upserts=[gone, back, other])
        for _ in range(2):
            await store.apply(namespace, deletes=[gone.id])
        assert await store.neighbors(namespace, [_A, _B], limit=9) == [[other], [back]]
        into = await store.neighbors(namespace, [_A, _B], direction=Direction.IN, limit=9)
        assert into == [[back], [other]]

    async def test_deletes_come_after_upserts(self, store: GraphStore, namespace: str) -> None:
        """A link that is in both is gone afterwards."""
        edge = _edge(_A, _B)
        await store.apply(namespace, upserts=[edge], deletes=[edge.id])
        assert await store.neighbors(namespace, [_A], limit=9) == [[]]

    async def test_a_node_can_be_linked_with_itself(
        self, store: GraphStore, namespace: str
    ) -> None:
        """The edge is found once in each direction."""
        edge = _edge(_A, _A)
        await store.apply(namespace, upserts=[edge])
        for direction in Direction:
            found = await store.neighbors(namespace, [_A], direction=direction, limit=9)
            assert found == [[edge]]

    async def test_coordinates_weights_and_versions_come_back_exactly(
        self, store: GraphStore, namespace: str
    ) -> None:
        """No rounding on the way to the disk and back."""
        weights = (0.0, 5e-324, 0.1 + 0.2, 1e-7, 1.7976931348623157e308) * 3
        edges = [
            _edge(_A, where, weight=weight, version=2**53 + 1)
            for where, weight in zip(HOSTILE_COORDINATES, weights, strict=True)
        ]
        await store.apply(namespace, upserts=edges)
        [found] = await store.neighbors(namespace, [_A], limit=99)
        assert {edge.id: edge for edge in found} == {edge.id: edge for edge in edges}

    async def test_namespaces_that_look_alike_stay_apart(self, store: GraphStore) -> None:
        """No tenant sees another's links."""
        edges = {
            name: _edge(_A, _B, version=place) for place, name in enumerate(HOSTILE_NAMES, start=1)
        }
        for name, edge in edges.items():
            await store.apply(name, upserts=[edge])
        for name, edge in edges.items():
            assert await store.neighbors(name, [_A], limit=9) == [[edge]]

    async def test_scrolling_lists_edges_in_key_order_page_by_page(
        self, store: GraphStore, namespace: str
    ) -> None:
        """By source, type and target, each once, and none of another namespace."""
        edges = [
            _edge(source, target, link_type)
            for source in HOSTILE_COORDINATES[:4]
            for target in (_A, _B)
            for link_type in ("a", "ab", "b", "\u00e9")
        ]
        await store.apply(namespace, upserts=edges)
        await store.apply(namespace + "2", upserts=[_edge(_A, _B)])

        async def page_after(last: Edge | None) -> list[Edge]:
            return await store.scroll(namespace, after=last.id if last else None, limit=5)

        found = await read_pages(page_after)
        assert found == sorted(edges, key=lambda edge: _key(edge.id))

    async def test_dropping_empties_one_namespace(self, store: GraphStore, namespace: str) -> None:
        """And none whose name only looks like it; twice is no error."""
        edge = _edge(_A, _B)
        for name in (namespace, namespace + "2", namespace[:-1]):
            await store.apply(name, upserts=[edge])
        for _ in range(2):
            await store.drop(namespace)
        assert await store.scroll(namespace, after=None, limit=9) == []
        for direction in Direction:
            found = await store.neighbors(namespace, [_A, _B], direction=direction, limit=9)
            assert found == [[], []]
        for name in (namespace + "2", namespace[:-1]):
            assert await store.neighbors(name, [_A], limit=9) == [[edge]]

    async def test_empty_calls_do_nothing(self, store: GraphStore, namespace: str) -> None:
        """Every bulk method takes an empty sequence."""
        await store.apply(namespace)
        assert await store.neighbors(namespace, [], limit=9) == []
        assert await store.scroll(namespace, after=None, limit=9) == []

    async def test_the_largest_calls_are_done_as_a_whole(
        self, store: GraphStore, namespace: str
    ) -> None:
        """`MAX_BATCH` is a promise as well: nothing in between takes less, or cuts an answer."""
        nodes = [coordinate(float(number)) for number in range(MAX_BATCH)]
        edges = [_edge(node, _C) for node in nodes]
        await store.apply(namespace, upserts=edges)
        found = await store.neighbors(namespace, nodes, limit=1)
        assert found == [[edge] for edge in edges]
        [back] = await store.neighbors(namespace, [_C], direction=Direction.IN, limit=MAX_BATCH)
        assert set(back) == set(edges)
        await store.apply(namespace, deletes=[edge.id for edge in edges])
        assert await store.scroll(namespace, after=None, limit=1) == []

    async def test_too_large_calls_are_refused(self, store: GraphStore, namespace: str) -> None:
        """Nothing of them happens."""
        edge = _edge(_A, _B)
        with pytest.raises(LimitExceededError):
            await store.apply(namespace, upserts=[edge] * (MAX_BATCH + 1))
        with pytest.raises(LimitExceededError):
            await store.apply(namespace, upserts=[edge], deletes=[edge.id] * (MAX_BATCH + 1))
        with pytest.raises(LimitExceededError):
            await store.neighbors(namespace, [_A] * (MAX_BATCH + 1), limit=1)
        assert await store.scroll(namespace, after=None, limit=9) == []

    async def test_concurrent_writes_all_happen(self, store: GraphStore, namespace: str) -> None:
        """At one node as at many."""
        edges = [_edge(_A, coordinate(float(n)), weight=float(n)) for n in range(64)]
        await asyncio.gather(*(store.apply(namespace, upserts=[edge]) for edge in edges))
        assert await store.neighbors(namespace, [_A], limit=99) == [edges]

    async def test_many_nodes_in_one_call(self, store: GraphStore, namespace: str) -> None:
        """A frontier is not limited by how many parameters a driver takes."""
        chain = [coordinate(float(n)) for n in range(3000)]
        edges = [_edge(one, two) for one, two in pairwise(chain)]
        await store.apply(namespace, upserts=edges)
        found = await store.neighbors(namespace, chain, limit=3)
        assert found == [*([edge] for edge in edges), []]

    async def test_another_instance_sees_a_write_at_once(
        self, make: Callable[[], GraphStore], namespace: str
    ) -> None:
        """Two stores on the same data are one graph."""
        async with make() as one, make() as other:
            edge = _edge(_A, _B)
            await one.apply(namespace, upserts=[edge])
            assert await other.neighbors(namespace, [_A], limit=9) == [[edge]]
            await other.apply(namespace, deletes=[edge.id])
            assert await one.neighbors(namespace, [_A], limit=9) == [[]]

    async def test_edges_after_opening_again(
        self, make: Callable[[], GraphStore], namespace: str
    ) -> None:
        """They are there, or the store says that it is not persistent."""
        edge = _edge(_A, _B)
        async with make() as store:
            await store.apply(namespace, upserts=[edge])
        async with make() as store:
            found = await store.scroll(namespace, after=None, limit=9)
            assert found == ([edge] if self.persistent else [])

    async def test_what_was_removed_is_gone_after_opening_again(
        self, make: Callable[[], GraphStore], namespace: str
    ) -> None:
        """Neither a deleted edge comes back, nor one of a dropped namespace."""
        gone, dropped = _edge(_A, _B), namespace + "2"
        async with make() as store:
            for name in (namespace, dropped):
                await store.apply(name, upserts=[gone])
            await store.apply(namespace, deletes=[gone.id])
            await store.drop(dropped)
        async with make() as store:
            for name in (namespace, dropped):
                assert await store.scroll(name, after=None, limit=9) == []


def _edge(
    source: Coordinate,
    target: Coordinate,
    link_type: str = "related",
    *,
    weight: float = 1.0,
    version: int = 1,
) -> Edge:
    identity = EdgeId(source=source, type=link_type, target=target)
    return Edge(id=identity, weight=weight, version=version)


def _key(edge: EdgeId) -> bytes:
    return link_key(edge.source, edge.type, edge.target)
