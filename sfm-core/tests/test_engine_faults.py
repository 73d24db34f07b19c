"""The fault plan does what it says, so that tests that use it prove something."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from engine_house import at

from sfm_core.errors import BackendUnavailableError, StorageFullError
from sfm_core.inprocess.cache import InProcessCache
from sfm_core.inprocess.graph import GraphState, InProcessGraphStore
from sfm_core.protocols.graph import Edge, EdgeId, GraphStore
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.faults import Fault, FaultPlan, Process, faulty

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


async def test_a_delayed_call_waits_for_its_time() -> None:
    clock = ManualClock()
    plan = FaultPlan(clock=clock)
    plan.delay("apply", by=timedelta(seconds=3))
    async with faulty(InProcessGraphStore(state=GraphState()), plan) as graph:
        writing = asyncio.create_task(graph.apply("n", upserts=[EDGE]))
        await asyncio.sleep(0)
        await clock.advance(timedelta(seconds=2))
        assert await edges(graph) == []
        await clock.advance(timedelta(seconds=1))
        assert await edges(graph) == [EDGE]
        await writing


async def test_a_duplicated_call_happens_twice_and_is_answered_once(plan: FaultPlan) -> None:
    async with faulty(InProcessCache(), plan) as cache:
        plan.duplicate("increment")
        assert await cache.increment("c", 1, ttl=timedelta(hours=1)) == 1
        assert await cache.increment("c", 1, ttl=timedelta(hours=1)) == 3


@pytest.mark.parametrize("after", [False, True])
async def test_after_a_crash_nothing_arrives_anywhere(*, after: bool) -> None:
    process = Process()
    plan, other = FaultPlan(process=process), FaultPlan(process=process)
    state = GraphState()
    async with (
        faulty(InProcessGraphStore(state=state), plan) as graph,
        faulty(InProcessCache(), other) as cache,
    ):
        plan.crash("apply", after=after)
        with pytest.raises(BackendUnavailableError):
            await graph.apply("n", upserts=[EDGE])
        plan.clear()
        with pytest.raises(BackendUnavailableError, match="crashed"):
            await cache.increment("c", 1, ttl=timedelta(hours=1))
    async with InProcessGraphStore(state=state) as survivor:
        assert await edges(survivor) == ([EDGE] if after else [])


async def test_a_call_under_way_when_its_process_crashes_tells_nobody() -> None:
    process = Process()
    plan = FaultPlan(process=process)
    async with faulty(InProcessGraphStore(state=GraphState()), plan) as graph:
        gate = plan.hold_reply("apply")
        writing = asyncio.create_task(graph.apply("n", upserts=[EDGE]))
        await gate.reached()
        process.crashed = True
        gate.open()
        with pytest.raises(BackendUnavailableError, match="crashed"):
            await writing


async def test_chance_strikes_the_same_calls_for_the_same_seed(graph: GraphStore) -> None:
    async def struck(seed: int) -> list[int]:
        plan = FaultPlan()
        plan.at_random(Fault.ERROR, seed=seed, rate=0.5)
        failed: list[int] = []
        for number in range(40):
            try:
                await plan.run("scroll", lambda: edges(graph))
            except BackendUnavailableError:
                failed.append(number)
        assert plan.struck["scroll"] == len(failed)
        return failed

    assert await struck(1) == await struck(1) != await struck(2)
    assert 5 < len(await struck(1)) < 35
