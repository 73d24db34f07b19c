"""The derived stores follow the truth: through outages, crashes, slow owners and races."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from engine_house import INTERVAL, LEASE, NS, SETTINGS, Faults, House, at, eventually, found, new
from engine_house import open_house as opened_house

from sfm_core.engine import finishing
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import ConfigurationError, NotFoundError, SfmError
from sfm_core.model.coordinate import Coordinate

A, B, C = at(1), at(2), at(3)
LONG = timedelta(minutes=10)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened_house() as made:
        yield made


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def engine(house: House, faults: Faults) -> AsyncIterator[MemoryEngine]:
    async with house.open(faults=faults) as made:
        yield made


async def test_a_write_waits_until_recall_sees_it(house: House, engine: MemoryEngine) -> None:
    assert (await engine.store(NS, new(A, "whale"))).indexed
    assert await found(engine, "whale") == [A]
    await house.nothing_waits()


@pytest.mark.parametrize(("port", "method"), [("vector", "upsert"), ("embedder", "embed")])
async def test_a_write_is_safe_while_what_follows_it_is_down_and_is_finished_later(
    house: House, faults: Faults, engine: MemoryEngine, port: str, method: str
) -> None:
    getattr(faults, port).fail(method, times=None)
    stored = await engine.store(NS, new(A, "whale"))
    assert (stored.version, stored.indexed) == (1, False)
    assert await house.outbox_depth() == 1
    for _ in range(3):
        await house.sweep()
    faults.clear()
    await house.sweep(LONG)
    await house.nothing_waits()
    assert await found(engine, "whale") == [A]


async def test_deleting_is_safe_while_the_vector_store_is_down(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A, "whale"))
    faults.vector.fail("delete", times=None)
    assert await engine.delete(NS, A)
    faults.clear()
    await house.sweep(LONG)
    assert await house.points() == {}


async def test_tries_that_fail_become_rarer(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    faults.vector.fail("upsert", times=None)
    await engine.store(NS, new(A))
    faults.vector.calls.clear()
    for _ in range(100):
        await house.sweep()
    assert 5 <= faults.vector.calls["upsert"] <= 30


async def test_a_write_that_waits_too_long_answers_and_is_indexed_in_the_background(
    house: House, faults: Faults
) -> None:
    settings = replace(SETTINGS, index_wait=timedelta(milliseconds=5))
    async with house.open(settings, faults=faults) as engine:
        gate = faults.vector.hold("upsert")
        assert not (await engine.store(NS, new(A))).indexed
        gate.open()
        await eventually(lambda: _depth_is(house, 0))
        assert await house.points() == {A: 1}


async def _depth_is(house: House, depth: int) -> bool:
    return await house.outbox_depth() == depth


async def test_the_notes_of_a_process_that_died_are_adopted_after_their_lease(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    faults.vector.hold("upsert")
    writer = asyncio.create_task(engine.store(NS, new(A, "whale")))
    await eventually(lambda: _depth_is(house, 1))
    async with house.open() as heir:
        await house.clock.advance(LEASE - INTERVAL - timedelta(seconds=1))
        await asyncio.sleep(0)
        assert await house.points() == {}
        await house.sweep(INTERVAL * 2)
        assert await house.points() == {A: 1}
        assert await found(heir, "whale") == [A]
        await house.nothing_waits()
    faults.clear()
    await writer


async def test_a_slow_owner_that_wakes_up_late_leaves_nothing_older_behind(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    gate = faults.vector.hold("upsert")
    slow = asyncio.create_task(engine.store(NS, new(A, "old words")))
    await gate.reached()
    async with house.open() as other:
        await other.store(NS, new(A, "fresh words"))
        await house.sweep(LEASE)
        assert await house.points() == {A: 2}
        gate.open()
        await slow
        await house.nothing_waits()
        await eventually(lambda: _is(house, {A: 2}))
        assert (await other.check()).consistent


async def _is(house: House, points: dict[Coordinate, int]) -> bool:
    return await house.points() == points


async def test_a_slow_owner_does_not_bring_back_what_was_deleted(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    gate = faults.vector.hold("upsert")
    slow = asyncio.create_task(engine.store(NS, new(A, "old words")))
    await gate.reached()
    async with house.open() as other:
        await other.delete(NS, A)
    gate.open()
    await slow
    await house.nothing_waits()
    await eventually(lambda: _is(house, {}))


async def test_a_slow_deletion_does_not_remove_what_was_stored_since(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A, "first life"))
    gate = faults.vector.hold("delete")
    slow = asyncio.create_task(engine.delete(NS, A))
    await gate.reached()
    async with house.open() as other:
        await other.store(NS, new(A, "second life"))
    gate.open()
    await slow
    await house.nothing_waits()
    await eventually(lambda: _is(house, {A: 3}))


async def test_a_lost_reply_of_any_step_of_indexing_does_no_harm(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    steps = ((faults.vector, "upsert"), (faults.kv, "acknowledge"), (faults.embedder, "embed"))
    for plan, method in steps:
        plan.lose_reply(method)
        await engine.store(NS, new(A, method))
        await house.sweep(LONG)
        await house.nothing_waits()
        assert (await engine.check()).consistent


async def test_one_unreadable_entry_does_not_hold_up_the_others(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    faults.vector.fail("upsert", times=None)
    await engine.store_many(NS, [new(at(n), "whale") for n in range(8)])
    await house.corrupt(NS, at(3))
    faults.clear()
    await house.sweep(LONG)
    assert set(await house.points()) == {at(n) for n in range(8)} - {at(3)}
    assert await house.outbox_depth() == 1
    with pytest.raises(SfmError, match="cannot be read"):
        await engine.get(NS, at(3))


async def test_a_collection_that_was_dropped_is_an_error_in_health_of_the_outbox(
    house: House, engine: MemoryEngine
) -> None:
    collection = house.collection
    await house.vector.drop(collection)
    assert not (await engine.store(NS, new(A, "whale"))).indexed
    assert (await engine.health()).outbox_depth == 1
    await house.vector.ensure(collection)
    await house.sweep(LONG)
    await house.sweep(LONG)
    assert await house.points() == {A: 1}


@pytest.mark.parametrize("seed", range(12))
async def test_racing_engines_leave_the_derived_stores_equal_to_the_truth(
    house: House, seed: int
) -> None:
    rng = random.Random(seed)
    plans = (Faults(), Faults())
    async with house.open(faults=plans[0]) as one, house.open(faults=plans[1]) as other:
        for _ in range(6):
            for plan in plans:
                for port, method in (
                    (plan.vector, "upsert"),
                    (plan.vector, "delete"),
                    (plan.kv, "commit"),
                    (plan.kv, "get_many"),
                    (plan.graph, "apply"),
                ):
                    if rng.random() < 0.5:
                        hold = rng.choice((port.hold, port.hold_reply))
                        hold(method, nth=rng.randint(1, 3))
            tasks = [
                asyncio.create_task(_something(rng, rng.choice((one, other)))) for _ in range(10)
            ]
            for _ in range(rng.randint(0, 40)):
                await asyncio.sleep(0)
            for plan in rng.sample(plans, 2):
                plan.clear()
                for _ in range(rng.randint(0, 20)):
                    await asyncio.sleep(0)
            await asyncio.gather(*tasks)
        await house.sweep(LONG)
        report = await one.check()
        assert report.consistent, report
        await house.nothing_waits()


async def _something(rng: random.Random, engine: MemoryEngine) -> None:
    where, other = at(rng.randint(0, 3)), at(rng.randint(0, 3))
    action = rng.randint(0, 9)
    try:
        if action < 4:
            await engine.store(NS, new(where, f"words {rng.random()}"))
        elif action < 6:
            await engine.delete(NS, where)
        elif action < 8:
            await engine.link(NS, where, other, weight=rng.random())
        elif action < 9:
            await engine.unlink(NS, where, other)
        else:
            await engine.set_importance(NS, where, rng.random())
    except NotFoundError:
        pass


async def test_an_engine_with_another_text_rule_builds_its_own_collection(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(A, "whale"))
    changed = replace(SETTINGS, text=replace(SETTINGS.text, context_weights=()))
    async with house.open(changed) as engine:
        assert await found(engine, "whale") == [A]
    assert len(await house.vector.collections()) == 2


async def test_a_collection_that_is_gone_is_built_anew(house: House) -> None:
    async with house.open() as engine:
        await engine.store_many(NS, [new(at(n), f"whale {n}") for n in range(20)])
    await house.vector.drop(house.collection)
    async with house.open() as engine:
        assert len(await found(engine, "whale", 20)) == 20


async def test_a_build_that_was_interrupted_is_gone_on_with_at_the_next_start(
    house: House, faults: Faults
) -> None:
    async with house.open() as engine:
        await engine.store_many(NS, [new(at(n), f"whale {n}") for n in range(20)])
    await house.vector.drop(house.collection)
    faults.vector.fail("upsert", times=None)
    async with house.open(faults=faults, settled=False) as engine:
        assert await found(engine, "whale", 20) == []
        assert engine.incomplete
    async with house.open() as engine:
        assert len(await found(engine, "whale", 20)) == 20
        assert not engine.incomplete


async def test_a_truth_written_by_a_newer_release_is_refused(house: House) -> None:
    async with house.open():
        pass
    await house.rewrite_manifest(b'{"format":99,"truth_id":"x"}')
    with pytest.raises(ConfigurationError, match="99"):
        async with house.open():
            pass
    await house.rewrite_manifest(b"nonsense")
    with pytest.raises(SfmError, match="manifest"):
        async with house.open():
            pass


async def test_nobody_waits_for_the_last_look_and_the_acknowledgement(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    gates = [faults.kv.hold("get_many", times=None), faults.kv.hold("acknowledge")]
    assert (await engine.store(NS, new(A, "whale"))).indexed
    assert await house.points() == {A: 1}
    for gate in gates:
        assert await house.outbox_depth() == 1
        await gate.reached()
        gate.open()
    await house.nothing_waits()


async def test_what_has_come_meanwhile_is_finished_together(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    gate = faults.kv.hold("acknowledge")
    await engine.store(NS, new(A, "whale"))
    await gate.reached()
    for number in range(5):
        await engine.store(NS, new(at(number)))
    gate.open()
    await house.nothing_waits()
    assert faults.kv.calls["acknowledge"] == 2


async def test_writers_wait_where_too_much_is_unfinished(
    house: House, faults: Faults, engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 16
    monkeypatch.setattr(finishing, "MAX_UNFINISHED", most)
    gate = faults.kv.hold("acknowledge", times=None)
    stored = 0

    async def store_all() -> None:
        nonlocal stored
        for number in range(2 * most):
            await engine.store(NS, new(at(number)))
            stored += 1

    async def stuck() -> bool:
        return await house.outbox_depth() > most

    work = asyncio.create_task(store_all())
    await eventually(stuck)
    assert stored == most
    gate.open()
    await work
    await house.nothing_waits()
