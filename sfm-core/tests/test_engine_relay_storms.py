"""Random lives of engines that share a truth: whatever happens, nothing is lost or out of order."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from random import Random

import pytest
from engine_house import (
    INTERVAL,
    LEASE,
    NS,
    SETTINGS,
    Faults,
    House,
    at,
    let_others_work,
    new,
)

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.relay import GAP, LOOK
from sfm_core.errors import SfmError
from sfm_core.model.events import START, event_id
from sfm_core.model.keys import link_key, memory_key
from sfm_core.protocols import MAX_BATCH

PLACES = [at(n) for n in range(4)]
STEPS = 60
FAULTS = (
    ("sink", "publish"),
    ("sink", "publish"),
    ("kv", "commit"),
    ("kv", "get_many"),
    ("kv", "read_events"),
    ("kv", "trim_events"),
)
PAUSES = (GAP, GAP, LOOK, INTERVAL, LEASE / 2, LEASE)


@dataclass(frozen=True, slots=True)
class Life:
    """One engine, from its start to its end."""

    engine: MemoryEngine
    faults: Faults
    end: AsyncExitStack

    async def kill(self) -> None:
        """End it so that nothing it does from now on arrives anywhere."""
        for plan in (self.faults.kv, self.faults.vector, self.faults.graph, self.faults.sink):
            plan.process.crashed = True
        await self.end.aclose()


class Storm:
    """Engines that come and go, write and fail, as a seed has it."""

    def __init__(self, house: House, seed: int) -> None:
        self.house = house
        self.random = Random(seed)
        self.settings = SETTINGS
        if seed % 2:
            self.settings = replace(SETTINGS, event_retention=timedelta(minutes=1))
        self.lives: list[Life] = []

    async def step(self) -> None:
        """Do one thing."""
        actions = [self.write, self.write, self.write, self.fail, self.wait, self.wait]
        actions += [self.begin] if len(self.lives) < 3 else []
        actions += [self.stop, self.kill] if len(self.lives) > 1 else []
        await self.random.choice(actions)()

    async def begin(self) -> None:
        faults = Faults()
        end = AsyncExitStack()
        context = self.house.open(self.settings, faults=faults, events=True)
        opening = asyncio.ensure_future(end.enter_async_context(context))
        # It waits for the relays, and these perhaps for the lease of one that was killed.
        while not opening.done():
            await self.house.clock.advance(LOOK)
        self.lives.append(Life(await opening, faults, end))

    async def stop(self) -> None:
        await self._taken().end.aclose()

    async def kill(self) -> None:
        await self._taken().kill()

    async def write(self) -> None:
        """Store, delete or link; a fault may keep it from happening, or from being told."""
        engine = self.random.choice(self.lives).engine
        place, other = self.random.choices(PLACES, k=2)
        try:
            match self.random.randrange(6):
                case 0:
                    await engine.delete(NS, place)
                case 1:
                    await engine.link(NS, place, other)
                case 2:
                    await engine.store_many(NS, [new(one) for one in PLACES])
                case _:
                    await engine.store(NS, new(place))
        except SfmError:
            return

    async def fail(self) -> None:
        faults = self.random.choice(self.lives).faults
        port, method = self.random.choice(FAULTS)
        strike = self.random.choice(("fail", "lose_reply"))
        times = self.random.choice((1, 1, 3, 20))
        getattr(getattr(faults, port), strike)(method, nth=self.random.randint(1, 3), times=times)

    async def wait(self) -> None:
        await self.house.clock.advance(self.random.choice(PAUSES))

    async def heal(self) -> None:
        """Let everything go well, and time pass until everybody has done what they have to."""
        for life in self.lives:
            life.faults.clear()
        for _ in range(4 * LEASE // LOOK):
            await self.house.clock.advance(LOOK)
            await let_others_work()

    async def end(self) -> None:
        while self.lives:
            await self.stop()

    def _taken(self) -> Life:
        return self.lives.pop(self.random.randrange(len(self.lives)))


@pytest.mark.parametrize("seed", range(24))
async def test_every_version_is_published_in_order(house: House, seed: int) -> None:
    storm = Storm(house, seed)
    await storm.begin()
    for _ in range(STEPS):
        await storm.step()
    await storm.heal()
    await storm.end()

    ids = list(dict.fromkeys(event.id for event in house.sink.events))
    left = await house.kv.read_events(after=START, limit=MAX_BATCH)
    assert [event_id(event.namespace, event.note.key, event.note.version) for event in left] == ids[
        len(ids) - len(left) :
    ]
    told: dict[str, list[int]] = defaultdict(list)
    for event in {event.id: event for event in house.sink.events}.values():
        told[event.subject].append(event.version)
    keys = {str(place): memory_key(place) for place in PLACES}
    keys |= {
        f"{one}>related>{other}": link_key(one, "related", other)
        for one in PLACES
        for other in PLACES
    }
    entries = await house.kv.get_many(NS, list(keys.values()))
    assert told == {
        subject: list(range(1, entry.version + 1))
        for subject, entry in zip(keys, entries, strict=True)
        if entry is not None
    }
