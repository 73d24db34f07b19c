"""Waiting for what a write owes while those who follow fail, die and get in each other's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from random import Random

import pytest
from engine_house import (
    EVENTED,
    LEASE,
    NS,
    Faults,
    House,
    at,
    eventually,
    found,
    in_time,
    is_reached,
    let_others_work,
    new,
)

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import BackendUnavailableError, NotFoundError
from sfm_core.model.coordinate import Coordinate
from sfm_core.testing.faults import Fault

A, B = at(1), at(2)


@pytest.fixture
def faults() -> Faults:
    """Faults of the engine that is asked."""
    return Faults()


@pytest.fixture
async def engine(house: House, faults: Faults) -> AsyncIterator[MemoryEngine]:
    async with house.open(EVENTED, faults=faults) as made:
        yield made


async def test_a_note_of_another_memory_that_cannot_be_followed_holds_nobody_up(
    house: House, engine: MemoryEngine
) -> None:
    bad = await engine.store(NS, new(A))
    await house.corrupt(NS, A)
    good = await engine.store(NS, new(B, "a whale"))
    async with house.open():
        assert await is_reached(house, engine, good.position)
        assert await found(engine, "whale") == [B]
        assert not await is_reached(house, engine, bad.position)
        assert not await is_reached(house, engine, bad.position, good.position)


@pytest.mark.parametrize(
    ("port", "method", "after"),
    [
        ("kv", "claim", True),
        ("embedder", "embed", False),
        ("vector", "upsert", False),
        ("vector", "upsert", True),
        ("kv", "acknowledge", False),
    ],
)
async def test_the_death_of_who_follows_is_waited_out(
    house: House, engine: MemoryEngine, port: str, method: str, *, after: bool
) -> None:
    dying = Faults()
    async with house.open(faults=dying):
        plan = getattr(dying, port)
        plan.crash(method, after=after)
        for one in (dying.kv, dying.vector, dying.graph, dying.embedder):
            one.process = plan.process
        stored = await engine.store(NS, new(A, "a whale"))
        assert not await is_reached(house, engine, stored.position)
        assert plan.process.crashed
    async with house.open():
        await house.sweep(LEASE)
        assert await is_reached(house, engine, stored.position)
        assert await found(engine, "whale") == [A]


async def test_a_note_that_was_given_back_is_outstanding_until_it_is_followed(
    house: House, engine: MemoryEngine
) -> None:
    failing = Faults()
    async with house.open(faults=failing):
        failing.vector.fail("upsert", times=None)
        stored = await engine.store(NS, new(A, "a whale"))
        for _ in range(3):
            assert not await is_reached(house, engine, stored.position)
        failing.clear()
        await house.nothing_waits(sweeping=True)
        assert await engine.wait_for(stored.position)
        assert await found(engine, "whale") == [A]


async def test_it_is_not_reached_while_who_follows_is_between_applying_and_looking_again(
    house: House, engine: MemoryEngine
) -> None:
    slow = Faults()
    async with house.open(faults=slow) as follower:
        gate = slow.kv.hold("acknowledge")
        stored = await engine.store(NS, new(A, "a whale"))
        assert not await is_reached(house, engine, stored.position)
        await gate.reached()
        gate.open()
        assert await is_reached(house, engine, stored.position)
        assert (await follower.check()).consistent


async def test_a_truth_that_does_not_answer_is_said(
    house: House, engine: MemoryEngine, faults: Faults
) -> None:
    stored = await engine.store(NS, new(A))
    faults.kv.fail("outstanding", times=None)
    with pytest.raises(BackendUnavailableError):
        await is_reached(house, engine, stored.position)


async def test_who_gives_up_waiting_disturbs_nobody(house: House, engine: MemoryEngine) -> None:
    stored = await engine.store(NS, new(A))
    patient = asyncio.create_task(engine.wait_for(stored.position))
    hasty = asyncio.create_task(engine.wait_for(stored.position))
    await let_others_work()
    hasty.cancel()
    async with house.open():
        assert await in_time(house, patient)
    with pytest.raises(asyncio.CancelledError):
        await hasty


def strike(one: Faults, random: Random) -> None:
    """Have calls of an engine go wrong at random, in another way each time."""
    kind = random.choice((Fault.ERROR, Fault.LOST_REPLY, Fault.DUPLICATE))
    for plan in (one.kv, one.vector, one.embedder):
        plan.at_random(kind, seed=random.randrange(10**6), rate=0.15)


async def is_seen(house: House, engine: MemoryEngine, where: Coordinate, word: str) -> bool:
    """Tell whether a recall answers with a memory as it is now, or with none that is gone."""
    try:
        memory = await engine.get(NS, where)
    except NotFoundError:
        return where not in await house.points()
    first = await found(engine, word, 1) == [where]
    return first and (await house.points())[where] == memory.version


@pytest.mark.parametrize("seed", range(12))
async def test_what_is_reached_is_seen_whatever_happens_to_those_who_follow(
    house: House, engine: MemoryEngine, seed: int
) -> None:
    """Two engines follow and fail at random; each write is looked for as soon as it is reached."""
    random = Random(seed)
    seen = 0
    failing = Faults(), Faults()
    async with house.open(faults=failing[0]), house.open(faults=failing[1]):
        for step in range(40):
            for one in failing:
                strike(one, random)
            where, word = at(random.randrange(8)), f"word{step}"
            if random.random() < 0.8:
                position = (await engine.store(NS, new(where, f"{word} of many"))).position
            else:
                position = (await engine.delete(NS, where)).position
            if position.notes and await is_reached(house, engine, position):
                # One of them may still bring what it read before, which it then puts right.
                await eventually(partial(is_seen, house, engine, where, word))
                seen += 1
        for one in failing:
            one.clear()
        await house.nothing_waits(sweeping=True)
    assert seen > 5
