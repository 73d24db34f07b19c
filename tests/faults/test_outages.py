from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from typing import cast

import pytest

from tests.fault_clients import FaultyClient, Tally
from tests.fix_faults import Fault, Fortress
from tests.fix_server import ask, settled

CLIENTS = 8
QUIET_SECONDS = 2.0


@pytest.mark.long
@pytest.mark.modes("development", "evented_enterprise")
@pytest.mark.timeout(1800)
async def test_outages_of_the_stores_lose_nothing_and_hang_nobody(
    fortress: Fortress,
    pytestconfig: pytest.Config,
    record_property: Callable[[str, float], None],
) -> None:
    operations = cast("int", pytestconfig.getoption("--fault-operations"))
    seed = cast("int", pytestconfig.getoption("--fault-seed"))
    if operations >= 1000:
        faults = (fortress.faults(hole_seconds=5) + fortress.more_faults(hole_seconds=5)) * 2
    else:
        faults = fortress.faults(hole_seconds=2)
    random.Random(seed).shuffle(faults)
    tally = Tally(wanted=operations)
    clients = [
        FaultyClient(fortress.server, number, seed=seed, tally=tally) for number in range(CLIENTS)
    ]

    async with asyncio.TaskGroup() as group:
        group.create_task(trouble(faults, tally))
        for client in clients:
            group.create_task(client.work())

    await everything_holds(fortress, clients)
    # The proxies live in this loop.
    await asyncio.to_thread(fortress.server.stop)
    await fortress.server.start()
    await everything_holds(fortress, clients)
    assert fortress.server.surprises == ""
    record_property("answered", tally.answered)
    record_property("degraded", tally.degraded)
    record_property("slowest", tally.slowest)


async def trouble(faults: list[Fault], tally: Tally) -> None:
    """Let one fault after the other happen, spread over the run."""
    for number, fault in enumerate(faults, start=1):
        due = tally.wanted * number // (len(faults) + 1)
        while tally.answered < due:  # noqa: ASYNC110 - the clients only count
            await asyncio.sleep(0.01)
        await fault()
    tally.over.set()


async def everything_holds(fortress: Fortress, clients: list[FaultyClient]) -> None:
    """Compare every memory, link and index with what was acknowledged."""
    async with fortress.server.client() as http:

        async def repaired() -> bool:
            return (await http.post("/check", json={"repair": True})).is_success

        # A store that failed is left alone for a while, and what was on its way arrives meanwhile.
        await asyncio.sleep(QUIET_SECONDS)
        await settled(repaired)
        report = await ask(http, "/check", {})
        assert report["consistent"] is True, report
    for client in clients:
        async with fortress.server.client(client.space) as http:
            await client.compare(http)
            await client.compare_recall(http)
