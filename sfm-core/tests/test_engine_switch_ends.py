"""An engine that ends at any call of a switch leaves what the next one goes on with."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta

import pytest
from engine_house import NS, Faults, at, found, new, open_house

from sfm_core.errors import BackendUnavailableError
from sfm_core.testing.faults import FaultPlan

LONG = timedelta(minutes=2)
CALLS = [
    ("kv", "commit", 8),
    ("kv", "get_many", 16),
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
async def test_a_switch_that_ends_at_any_call_is_gone_on_with(
    port: str, method: str, nth: int, *, happened: bool
) -> None:
    async with open_house() as house:
        async with house.open() as engine:
            await engine.store_many(NS, [new(at(n), f"whale number {n}") for n in range(20)])
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
