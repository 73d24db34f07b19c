"""Edges in a file."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from sqlite_helpers import open_graph

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import link_key
from sfm_core.protocols.graph import Direction, Edge, EdgeId


def edge(source: float, target: float, *, kind: str = "related", weight: float = 1.0) -> Edge:
    identity = EdgeId(source=Coordinate((source,)), type=kind, target=Coordinate((target,)))
    return Edge(id=identity, weight=weight, version=3)


async def test_neighbours_come_by_weight_then_other_end_then_type(tmp_path: Path) -> None:
    expected = [
        edge(1, 9, weight=0.5),
        edge(1, -2),
        edge(1, 2, kind="a"),
        edge(1, 2, kind="ab"),
        edge(1, 3, weight=2),
    ]
    async with open_graph(tmp_path) as graph:
        await graph.apply("n", upserts=random.Random(1).sample(expected, len(expected)))
        (found,) = await graph.neighbors("n", [Coordinate((1.0,))], limit=10)
        (first,) = await graph.neighbors("n", [Coordinate((1.0,))], limit=2)
    assert found == expected
    assert first == expected[:2]


@pytest.mark.parametrize("direction", list(Direction))
async def test_neighbours_of_many_nodes_keep_their_order(
    tmp_path: Path, direction: Direction
) -> None:
    ring = [edge(n, (n + 1) % 10, kind="next") for n in range(10)]
    async with open_graph(tmp_path) as graph:
        await graph.apply("n", upserts=[*ring, edge(4, 4, kind="other")])
        found = await graph.neighbors(
            "n",
            [Coordinate((float(n),)) for n in (7, 99, 0)],
            direction=direction,
            link_type="next",
            limit=5,
        )
    expected = (
        [[ring[7]], [], [ring[0]]] if direction is Direction.OUT else [[ring[6]], [], [ring[9]]]
    )
    assert found == expected


async def test_scrolling_follows_the_bytes_of_link_keys(tmp_path: Path) -> None:
    source = random.Random(2)
    edges = {
        edge(
            source.randint(-3, 3), source.randint(-3, 3), kind=source.choice(["a", "ab", "é", "b "])
        )
        for _ in range(80)
    }
    async with open_graph(tmp_path) as graph:
        await graph.apply("n", upserts=[*edges])
        await graph.apply("other", upserts=[edge(0, 0)])
        seen: list[Edge] = []
        while page := await graph.scroll("n", after=seen[-1].id if seen else None, limit=7):
            seen += page
    assert seen == sorted(edges, key=lambda e: link_key(e.id.source, e.id.type, e.id.target))


async def test_dropping_empties_one_namespace(tmp_path: Path) -> None:
    async with open_graph(tmp_path) as graph:
        await graph.apply("n", upserts=[edge(1, n) for n in range(6000)])
        await graph.apply("kept", upserts=[edge(1, 2)])
        await graph.drop("n")
        assert await graph.scroll("n", after=None, limit=10) == []
        assert await graph.scroll("kept", after=None, limit=10) == [edge(1, 2)]
