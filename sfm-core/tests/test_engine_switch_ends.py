"""An engine that ends at any call of a switch leaves what the next one goes on with."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from datetime import timedelta

import pytest
from engine_house import (
    NS,
    Faults,
    House,
    at,
    eventually,
    found,
    let_others_work,
    new,
    open_house,
)

from sfm_core.engine.catalog import read_catalog
from sfm_core.errors import BackendUnavailableError
from sfm_core.testing.faults import FaultPlan

LONG = timedelta(minutes=2)
CALLS = [
    ("kv", "commit", 10),
    ("kv", "get_many", 20),
    ("vector", "ensure", 5),
    ("vector", "upsert", 2),
    ("vector", "scroll", 3),
    ("other", "embed", 2),
]
EVERYTHING = ("commit", "get_many", "upsert", "ensure", "scroll", "embed")


def end(plan: FaultPlan, method: str, nth: int, *, happened: bool) -> None:
    """Have nothing work from a call on, which may have its effect still."""
    if happened:
        plan.lose_reply(method, nth=nth)
        plan.fail(method, nth=nth + 1, times=None)
    else:
        plan.fail(method, nth=nth, times=None)


@pytest.mark.parametrize(
    ("port", "method", "nth"),
    [(port, method, n) for port, method, calls in CALLS for n in range(1, calls + 1)],
)
@pytest.mark.parametrize("happened", [False, True], ids=["before", "after"])
@pytest.mark.usefixtures("whales")
async def test_a_switch_that_ends_at_any_call_is_gone_on_with(
    house: House, port: str, method: str, nth: int, *, happened: bool
) -> None:
    faults = Faults()
    plan: FaultPlan = getattr(faults, port)
    end(plan, method, nth, happened=happened)
    with suppress(BackendUnavailableError):
        async with house.open(embedder="small", faults=faults, settled=False):
            for _ in range(5):
                await house.sweep()
                if plan.calls[method] >= nth:
                    for other in (faults.kv, faults.vector, faults.other):
                        for call in EVERYTHING:
                            other.fail(call, times=None)
    async with house.open(embedder="small") as engine:
        [serving] = [s for s in await engine.collections() if s.role == "serving"]
        assert (serving.embedder, serving.complete) == ("small:", True)
        assert len(await found(engine, "whale", 50)) == 20
        await house.sweep(LONG)
        assert (await engine.check()).consistent
        await house.nothing_waits(sweeping=True)


@pytest.mark.parametrize("nth", range(1, 9))
async def test_what_is_cut_short_at_any_commit_leaves_no_build_to_a_process_that_is_gone(
    nth: int,
) -> None:
    async with open_house() as house:
        async with house.open() as engine:
            await engine.store(NS, new(at(1), "a whale"))
        await _cut_short(house, nth)
        assert await _built_by(house) == []
        async with house.open(embedder="small") as engine:
            assert await found(engine, "whale") == [at(1)]


async def test_an_engine_that_gives_a_build_back_at_its_end_takes_it_up_no_more() -> None:
    async with open_house() as house:
        async with house.open() as engine:
            await engine.store(NS, new(at(1), "a whale"))
        faults = Faults()
        faults.other.hold("embed", times=None)
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(
                house.open(embedder="small", faults=faults, settled=False)
            )
            await eventually(lambda: faults.other.calls["embed"] > 0)
            gate = faults.kv.hold_reply("commit")
            ending = asyncio.create_task(stack.pop_all().aclose())
        await gate.reached()
        await house.clock.advance(house.interval)
        await let_others_work()
        gate.open()
        await ending
        assert await _built_by(house) == []


async def _built_by(house: House) -> list[str]:
    return [r.builder for r in (await read_catalog(house.kv)).active if r.builder]


async def _switch(house: House, faults: Faults, nth: int) -> None:
    """Begin with another collection, and end."""
    async with house.open(embedder="small", faults=faults, settled=False):
        await eventually(lambda: faults.kv.calls["commit"] >= nth)
        await let_others_work()


async def _cut_short(house: House, nth: int) -> None:
    """End a switch while it waits for the reply to a commit that has happened."""
    faults = Faults()
    gate = faults.kv.hold_reply("commit", nth=nth)
    switching = asyncio.create_task(_switch(house, faults, nth))
    await gate.reached()
    switching.cancel()
    await let_others_work()
    gate.open()
    with suppress(asyncio.CancelledError):
        await switching
