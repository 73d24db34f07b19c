"""Counting reads, telling how things are, and closing down."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
from engine_house import LEASE, NS, SETTINGS, Faults, House, ask, at, eventually, new

from sfm_core.errors import BackendUnavailableError, ClosedError, SfmError
from sfm_core.model.link import Link
from sfm_core.model.memory import AccessStatistics
from sfm_core.model.report import Stored

A, B = at(1), at(2)


async def test_reads_are_counted_at_once_and_kept_over_a_restart(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(A, "whale"))
        assert await engine.access(NS, A) == AccessStatistics()
        await engine.get(NS, A)
        await engine.get_many(NS, [A, B])
        await engine.recall(NS, ask("whale"))
        expected = AccessStatistics(count=3, last_accessed_at=house.clock.now())
        assert await engine.access(NS, A) == expected
    async with house.open() as engine:
        assert await engine.access(NS, A) == expected


async def test_reads_of_several_engines_add_up(house: House) -> None:
    async with house.open() as one, house.open() as other:
        await one.store(NS, new(A))
        for _ in range(3):
            await one.get(NS, A)
            await other.get(NS, A)
        await house.sweep()
        assert (await one.access(NS, A)).count == (await other.access(NS, A)).count == 6


async def test_reads_cost_no_write_of_their_own(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        await engine.store(NS, new(A))
        await house.sweep()
        faults.kv.calls.clear()
        await house.sweep()
        idle = faults.kv.calls["commit"]
        for _ in range(50):
            await engine.get(NS, A)
        assert faults.kv.calls["commit"] == idle
        await house.sweep()
        assert faults.kv.calls["commit"] == idle + idle + 1


async def test_counts_survive_updates_but_not_deletion(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(A))
        await engine.get(NS, A)
        await house.sweep()
        await engine.store(NS, new(A, "changed"))
        assert (await engine.access(NS, A)).count == 1
        await engine.get(NS, A)
        await engine.delete(NS, A)
        assert (await engine.access(NS, A)).count == 0
        await house.clock.advance(timedelta(seconds=1))
        await engine.store(NS, new(A, "another life"))
        await house.sweep()
        assert (await engine.access(NS, A)).count == 0


async def test_counts_do_not_outlive_an_expired_memory(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(A, ttl=timedelta(seconds=20)))
        await engine.get(NS, A)
        await house.sweep()
        await house.clock.advance(timedelta(seconds=9))
        await house.clock.advance(timedelta(seconds=1))
        await engine.store(NS, new(A, "another life"))
        assert (await engine.access(NS, A)).count == 0


async def test_counts_that_could_not_be_written_are_kept_for_the_next_time(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        await engine.store(NS, new(A))
        await engine.get(NS, A)
        faults.kv.fail("commit", times=None)
        await house.sweep()
        await engine.get(NS, A)
        faults.clear()
        await house.sweep()
    async with house.open() as engine:
        assert (await engine.access(NS, A)).count == 2


async def test_a_memory_that_cannot_be_read_keeps_no_other_from_being_counted(
    house: House,
) -> None:
    memories = [at(number) for number in range(250)]
    async with house.open() as engine:
        await engine.store_many(NS, [new(where) for where in memories])
        await engine.get_many(NS, memories)
        await house.corrupt(NS, memories[130])
        await house.sweep()
    async with house.open() as engine:
        sound = [where for where in memories if where != memories[130]]
        counts = [(await engine.access(NS, where)).count for where in sound]
    assert counts == [1] * len(sound)


async def test_reads_of_many_memories_are_kept_while_the_truth_is_away(house: House) -> None:
    memories = [at(number) for number in range(250)]
    faults = Faults()
    async with house.open(faults=faults) as engine:
        await engine.store_many(NS, [new(where) for where in memories])
        await engine.get_many(NS, memories)
        faults.kv.fail("commit", times=None)
        await house.sweep()
        faults.clear()
        await house.sweep()
    async with house.open() as engine:
        counts = [(await engine.access(NS, where)).count for where in memories]
    assert counts == [1] * len(memories)


async def test_counting_can_be_turned_off(house: House) -> None:
    async with house.open(replace(SETTINGS, track_access=False)) as engine:
        await engine.store(NS, new(A))
        await engine.get(NS, A)
        assert (await engine.access(NS, A)).count == 0


async def test_everything_is_well_when_every_backend_answers(house: House) -> None:
    async with house.open(events=True) as engine:
        health = await engine.health()
    assert health.ok
    assert set(health.ports) == {"kv", "vector", "graph", "cache", "embedder", "events"}
    assert (health.outbox_depth, health.outbox_oldest_at, health.rebuilding) == (0, None, False)


@pytest.mark.parametrize("port", ["kv", "vector", "graph", "embedder", "sink"])
async def test_a_backend_that_is_down_is_an_answer_and_not_an_error(
    house: House, port: str
) -> None:
    faults = Faults()
    async with house.open(faults=faults, events=True) as engine:
        getattr(faults, port).fail("ping", times=None)
        health = await engine.health()
    assert not health.ok
    down = {name for name, state in health.ports.items() if not state.ok}
    assert down == {"events" if port == "sink" else port}
    assert all(health.ports[name].error for name in down)


async def test_health_answers_though_the_truth_does_not(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        faults.kv.fail("ping", times=None)
        faults.kv.fail("outbox_status", times=None)
        assert (await engine.health()).outbox_depth is None


async def test_health_tells_how_far_the_index_is_behind(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        faults.vector.fail("upsert", times=None)
        since = house.clock.now()
        await engine.store(NS, new(A))
        await house.clock.advance(timedelta(seconds=3))
        health = await engine.health()
        assert (health.outbox_depth, health.outbox_oldest_at) == (1, since)
        for follower in ("vector", "graph"):
            assert health.ports[follower].backlog == 1
            assert health.ports[follower].lag == timedelta(seconds=3)
        assert health.ports["kv"].lag is None


async def test_health_tells_how_far_events_are_behind(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults, events=True) as engine:
        events = (await engine.health()).ports["events"]
        assert (events.ok, events.lag, events.backlog) == (True, timedelta(), 0)
        faults.sink.fail("publish", times=None)
        await engine.store(NS, new(A))
        await engine.store(NS, new(B))
        await house.clock.advance(timedelta(seconds=2))
        events = (await engine.health()).ports["events"]
        assert (events.ok, events.lag, events.backlog) == (False, timedelta(seconds=2), 2)


@pytest.mark.parametrize(("port", "usable"), [("kv", False), ("vector", True), ("embedder", True)])
async def test_only_without_the_truth_nothing_works(
    house: House, port: str, *, usable: bool
) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        getattr(faults, port).fail("ping", times=None)
        assert (await engine.health()).usable is usable


async def test_upkeep_outlives_every_failure(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        for method in ("claim", "namespaces", "read_events", "commit"):
            faults.kv.fail(method, times=None)
        await house.sweep()
        faults.clear()
        await engine.store(NS, new(A, ttl=timedelta(seconds=1)))
        await house.sweep()
        assert (await engine.stats(NS)).total_memories == 0


async def test_closing_finishes_what_is_in_hand(house: House) -> None:
    async with house.open() as engine:
        writers = [asyncio.create_task(engine.store(NS, new(at(n), "x"))) for n in range(50)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*writers)
    assert all(isinstance(result, Stored) for result in results)
    async with house.open() as engine:
        await house.sweep(LEASE)
        assert len(await house.points()) == 50
        assert (await engine.check()).consistent


@pytest.mark.parametrize("turns", range(0, 40, 2))
async def test_whatever_is_acknowledged_while_closing_is_there(house: House, turns: int) -> None:
    async with house.open() as engine:
        writers = [asyncio.create_task(engine.store(NS, new(at(n), "x"))) for n in range(10)]
        linker = asyncio.create_task(engine.link(NS, at(0), at(1)))
        for _ in range(turns):
            await asyncio.sleep(0)
    results = await asyncio.gather(*writers, return_exceptions=True)
    assert all(isinstance(result, Stored | ClosedError) for result in results)
    [linked] = await asyncio.gather(linker, return_exceptions=True)
    assert isinstance(linked, Link | SfmError)
    async with house.open() as engine:
        for number, result in enumerate(results):
            [memory] = await engine.get_many(NS, [at(number)])
            assert (memory is not None) == isinstance(result, Stored)


async def test_a_closed_engine_refuses_work(house: House) -> None:
    async with house.open() as engine:
        pass
    for call in (
        engine.store(NS, new(A)),
        engine.get(NS, A),
        engine.recall(NS, ask("x")),
        engine.delete(NS, A),
        engine.link(NS, A, B),
        engine.neighbors(NS, A),
        engine.stats(NS),
        engine.check(),
    ):
        with pytest.raises(ClosedError):
            await call


async def test_closing_leaves_no_task_behind(house: House) -> None:
    before = asyncio.all_tasks()
    faults = Faults()
    async with house.open(faults=faults, events=True) as engine:
        await engine.store(NS, new(A, "whale"))
        faults.vector.fail("upsert", times=None)
        await engine.store(NS, new(A, "whales"))
        await engine.recall(NS, ask("whale"))
        await house.sweep()
    await eventually(lambda: asyncio.all_tasks() <= before)


async def test_an_engine_that_cannot_open_a_backend_closes_those_it_opened(house: House) -> None:
    faults = Faults()
    faults.vector.fail("ensure", times=None)
    before = asyncio.all_tasks()
    with pytest.raises(BackendUnavailableError):
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(house.open(faults=faults))
    assert asyncio.all_tasks() <= before
    async with house.open() as engine:
        assert (await engine.store(NS, new(A))).indexed
