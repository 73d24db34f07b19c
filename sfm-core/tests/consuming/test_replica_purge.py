"""A replica lets go of what was purged, as far as events carry it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from engine_house import NS, SETTINGS, House, at, new
from replica_house import Replica, held, open_replica, told

from sfm_core.engine.walking import entries_of
from sfm_core.model.events import Event
from sfm_core.model.keys import PURGE, KeyRange

A = at(1)
CANARY = "xylocarpous"


@pytest.fixture
async def replica(house: House) -> AsyncIterator[Replica]:
    async with open_replica(house, SETTINGS) as made:
        yield made


async def purged(house: House) -> list[Event]:
    return await told(
        house,
        lambda engine: engine.store(NS, new(A, CANARY)),
        lambda engine: engine.store(NS, new(A, CANARY)),
        lambda engine: engine.purge(NS, A),
        lambda engine: engine.store(NS, new(A, "new")),
    )


async def left(replica: Replica) -> list[bytes]:
    word = CANARY.encode()
    return [key async for key, entry in entries_of(replica.kv, NS) if word in key + entry.value]


async def test_content_goes_and_it_is_an_exact_copy(house: House, replica: Replica) -> None:
    await replica.take_in(await purged(house))
    assert await left(replica) == []
    assert await held(replica.kv) == await held(house.kv)


async def test_one_that_missed_the_purge_learns_of_it_from_what_came_after(
    house: House, replica: Replica
) -> None:
    first, second, _, last = await purged(house)
    await replica.take_in([first, second])
    assert await left(replica)
    await replica.take_in([last])
    assert await left(replica) == []


async def test_what_comes_late_is_not_kept(house: House, replica: Replica) -> None:
    first, second, purge, last = await purged(house)
    await replica.take_in([purge, last])
    await replica.take_in([first, second])
    assert await left(replica) == []


async def test_it_notes_that_its_stores_are_to_be_gone_over(house: House, replica: Replica) -> None:
    await replica.take_in(await purged(house))
    [page] = await replica.kv.scan(NS, [KeyRange.prefix(PURGE)], limit=10)
    assert len(page) == 1
