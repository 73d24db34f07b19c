"""Writes that are repeated until they are answered, over a truth that fails: each happens once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random

import pytest
from engine_house import NS, Faults, at, new, open_house

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import BackendUnavailableError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.events import START
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.patch import MemoryPatch
from sfm_core.model.report import Stored
from sfm_core.testing.faults import Fault

PLACES = [at(number) for number in range(4)]
CLIENTS = 6
WRITES = 12

Write = Callable[[MemoryEngine], Awaitable[Stored]]


async def until_answered(
    engines: Sequence[MemoryEngine],
    chances: Random,
    write: Write,
) -> Stored:
    """Ask one engine after the other, as a client does that knows nothing but its key."""
    while True:
        try:
            return await write(chances.choice(engines))
        except BackendUnavailableError:
            await asyncio.sleep(0)


def stores(place: Coordinate, key: IdempotencyKey) -> Write:
    return lambda engine: engine.store(NS, new(place, key.text), idempotency_key=key)


def patches(place: Coordinate, key: IdempotencyKey) -> Write:
    patch = MemoryPatch(payload={key.text: True})
    return lambda engine: engine.update(NS, place, patch, idempotency_key=key)


@pytest.mark.parametrize("fault", [Fault.LOST_REPLY, Fault.ERROR, Fault.DUPLICATE])
@pytest.mark.parametrize("seed", range(3))
async def test_each_write_is_one_version_and_one_event(fault: Fault, seed: int) -> None:
    chances = Random(seed)
    one, other = Faults(), Faults()
    async with (
        open_house() as house,
        house.open(faults=one) as first,
        house.open(faults=other) as second,
    ):
        for place in PLACES:
            await first.store(NS, new(place))
        for faults in (one, other):
            faults.kv.at_random(fault, seed=seed, rate=0.15)
        engines = (first, second)
        answered: list[tuple[object, int]] = []

        async def client(number: int) -> None:
            for turn in range(WRITES):
                place, key = chances.choice(PLACES), IdempotencyKey(f"{number} {turn}")

                write = stores(place, key) if turn % 2 else patches(place, key)
                stored = await until_answered(engines, chances, write)
                answered.append((stored.coordinate, stored.version))

        await asyncio.gather(*(client(number) for number in range(CLIENTS)))
        for faults in (one, other):
            faults.clear()
        assert len(set(answered)) == CLIENTS * WRITES
        versions = [(await first.get(NS, place)).version for place in PLACES]
        assert sum(versions) == CLIENTS * WRITES + len(PLACES)
        assert len(await house.kv.read_events(after=START, limit=1000)) == sum(versions)
