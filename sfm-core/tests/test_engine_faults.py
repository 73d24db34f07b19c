"""The fault plan does what it says, so that tests that use it prove something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from engine_house import at

from sfm_core.errors import BackendUnavailableError, StorageFullError
from sfm_core.inprocess.graph import GraphState, InProcessGraphStore
from sfm_core.protocols.graph import Edge, EdgeId, GraphStore
from sfm_core.testing.faults import FaultPlan, faulty

EDGE = Edge(id=EdgeId(source=at(1), type="related", target=at(2)), weight=1, version=1)


@pytest.fixture
def plan() -> FaultPlan:
    return FaultPlan()


@pytest.fixture
async def graph(plan: FaultPlan) -> AsyncIterator[GraphStore]:
    async with faulty(InProcessGraphStore(state=GraphState()), plan) as opened:
        yield opened


async def edges(graph: GraphStore) -> list[Edge]:
    return await graph.scroll("n", after=None, limit=9)


async def test_a_call_that_fails_does_nothing(plan: FaultPlan, graph: GraphStore) -> None:
    plan.fail("apply")
    with pytest.raises(BackendUnavailableError):
        await graph.apply("n", upserts=[EDGE])
    assert await edges(graph) == []
    await graph.apply("n", upserts=[EDGE])
    assert await edges(graph) == [EDGE]


async def test_a_lost_reply_has_had_its_effect(plan: FaultPlan, graph: GraphStore) -> None:
    plan.lose_reply("apply", error=lambda: StorageFullError("full", backend="faulty"))
    with pytest.raises(StorageFullError):
        await graph.apply("n", upserts=[EDGE])
    assert await edges(graph) == [EDGE]


async def test_the_chosen_calls_are_struck_and_all_are_counted(
    plan: FaultPlan, graph: GraphStore
) -> None:
    plan.fail("ping", nth=2, times=2)
    struck: list[int] = []
    for number in range(5):
        try:
            await graph.ping()
        except BackendUnavailableError:
            struck.append(number)
    assert struck == [1, 2]
    assert plan.calls["ping"] == 5


async def test_a_held_call_waits_at_its_gate(plan: FaultPlan, graph: GraphStore) -> None:
    gate = plan.hold("apply")
    writing = asyncio.create_task(graph.apply("n", upserts=[EDGE]))
    await gate.reached()
    assert await edges(graph) == []
    gate.open()
    await writing
    assert await edges(graph) == [EDGE]


async def test_a_held_reply_waits_after_its_effect(plan: FaultPlan, graph: GraphStore) -> None:
    gate = plan.hold_reply("apply")
    writing = asyncio.create_task(graph.apply("n", upserts=[EDGE]))
    await gate.reached()
    assert await edges(graph) == [EDGE]
    assert not writing.done()
    plan.clear()
    await writing


async def test_the_task_that_calls_can_be_cancelled(plan: FaultPlan, graph: GraphStore) -> None:
    plan.cancel("apply")
    writing = asyncio.create_task(graph.apply("n", upserts=[EDGE]))
    with pytest.raises(asyncio.CancelledError):
        await writing
    assert await edges(graph) == []


async def test_what_is_no_call_goes_straight_through(graph: GraphStore) -> None:
    assert (graph.scheme, graph.shared) == ("memory", False)
