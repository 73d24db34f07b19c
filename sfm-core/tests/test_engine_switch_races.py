"""Engines with different embedders come and go, write and fail; nothing is lost or mixed."""

from __future__ import annotations

import random
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from engine_house import EMBEDDERS, NS, Faults, House, at, found, new, open_house

from sfm_core.engine.catalog import Role, read_catalog
from sfm_core.engine.memory_engine import MemoryEngine

PLACES = 12
STEPS = 40
MOST = 3


class Crowd:
    """Some engines on one truth, and what the truth must hold.

    In calm times each has every embedder, and none fails.
    """

    def __init__(self, house: House, chances: random.Random, *, calm: bool) -> None:
        self.calm = calm
        self.house = house
        self.chances = chances
        self.engines: list[tuple[MemoryEngine, AsyncExitStack]] = []
        self.faults = Faults()
        self.texts: dict[int, str] = {}
        self.step = 0

    async def open(self) -> None:
        embedder = self.chances.choice(EMBEDDERS)
        least = len(EMBEDDERS) if self.calm else 0
        some = self.chances.sample(EMBEDDERS, self.chances.randint(least, len(EMBEDDERS)))
        installed = {embedder, *some}
        stack = AsyncExitStack()
        engine = await stack.enter_async_context(
            self.house.open(
                embedder=embedder,
                installed=sorted(installed),
                faults=self.faults,
                decides=self.chances.random() < 0.8,
                settled=False,
            )
        )
        self.engines.append((engine, stack))

    async def close(self) -> None:
        _, stack = self.engines.pop(self.chances.randrange(len(self.engines)))
        await stack.aclose()

    async def write(self) -> None:
        engine, _ = self.chances.choice(self.engines)
        number = self.chances.randrange(PLACES)
        if self.chances.random() < 0.2:
            await engine.delete(NS, at(number))
            self.texts.pop(number, None)
            return
        text = f"step{self.step}"
        stored = await engine.store(NS, new(at(number), f"this was {text} of all"))
        self.texts[number] = text
        if stored.indexed:
            reader = self.chances.choice(self.engines)[0] if self.calm else engine
            assert await found(reader, text, 1) == [at(number)]

    async def fail_or_heal(self) -> None:
        self.faults.clear()
        if not self.calm and self.chances.random() < 0.4:
            self.faults.other.fail("embed", times=self.chances.choice([1, 5]))

    async def sweep(self) -> None:
        await self.house.sweep(timedelta(seconds=self.chances.choice([1, 5, 12, 40])))

    async def act(self) -> None:
        """Do something, and look whether exactly one collection serves."""
        self.step += 1
        if not self.engines:
            await self.open()
        actions = [self.write] * 5 + [self.sweep] * 3 + [self.fail_or_heal, self.close]
        if len(self.engines) < MOST:
            actions += [self.open] * 2
        await self.chances.choice(actions)()
        catalog = await read_catalog(self.house.kv)
        assert [r.role for r in catalog.active].count(Role.SERVING) == 1


@pytest.mark.parametrize("calm", [True, False], ids=["calm", "rough"])
@pytest.mark.parametrize("seed", range(15))
async def test_everything_is_found_at_once_in_calm_times_and_in_the_end_in_others(
    seed: int, *, calm: bool
) -> None:
    async with open_house() as house:
        crowd = Crowd(house, random.Random(seed), calm=calm)
        for _ in range(STEPS):
            await crowd.act()
        crowd.faults.clear()
        while crowd.engines:
            await crowd.close()
        async with house.open(embedder=crowd.chances.choice(EMBEDDERS)) as engine:
            await house.nothing_waits(sweeping=True)
            report = await engine.check()
            assert report.consistent, report
            for number, text in crowd.texts.items():
                assert await found(engine, text, 1) == [at(number)]
            assert report.memories == len(crowd.texts)
