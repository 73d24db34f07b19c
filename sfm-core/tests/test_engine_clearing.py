"""A selection picks memories to be deleted, part by part, as they are when they are deleted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from engine_house import NS, Faults, House, at, found, new

from sfm_core.engine.clearing import MAX_EXAMINED
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import (
    BackendUnavailableError,
    IdempotencyKeyReusedError,
    InvalidInputError,
    LimitExceededError,
)
from sfm_core.model.events import EventType
from sfm_core.model.filters import parse_filter
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.memory import MemoryType, NewMemory
from sfm_core.model.selection import Selection

EVEN = Selection(filter=parse_filter({"parity": "even"}))
COUNT = 20
KEY = IdempotencyKey("k")


def fact(number: int, **more: object) -> NewMemory:
    payload = {"text": f"fact {number}", "parity": ("even", "odd")[number % 2]}
    return new(at(number), payload=payload, **more)  # type: ignore[arg-type]


async def fill(engine: MemoryEngine, count: int = COUNT) -> None:
    await engine.store_many(NS, [fact(number) for number in range(count)])


@pytest.fixture
async def engine(house: House) -> AsyncIterator[MemoryEngine]:
    async with house.open() as made:
        await fill(made)
        yield made


async def left(engine: MemoryEngine) -> list[float]:
    listed = await engine.list_memories(NS, limit=1000)
    return [memory.coordinate.components[0] for memory in listed]


async def test_what_the_filter_picks_is_deleted_and_nothing_else(engine: MemoryEngine) -> None:
    await engine.store("other", fact(0))
    cleared = await engine.delete_matching(NS, EVEN)
    assert (cleared.examined, cleared.matched, cleared.deleted) == (20, 10, 10)
    assert cleared.next_after is None
    assert await left(engine) == list(range(1, COUNT, 2))
    assert (await engine.stats("other")).total_memories == 1
    assert await engine.wait_for(cleared.position)
    assert all(place.components[0] % 2 for place in await found(engine, "fact"))


async def test_a_dry_run_counts_and_deletes_nothing(engine: MemoryEngine) -> None:
    cleared = await engine.delete_matching(NS, EVEN, dry_run=True)
    assert (cleared.matched, cleared.deleted, cleared.examples[:2]) == (10, 0, (at(0), at(2)))
    assert len(await left(engine)) == COUNT


async def test_a_type_picks_too(engine: MemoryEngine) -> None:
    await engine.store(NS, fact(0, type=MemoryType.SEMANTIC))
    both = Selection(filter=EVEN.filter, type=MemoryType.SEMANTIC)
    assert (await engine.delete_matching(NS, both)).deleted == 1
    everything = Selection(type=MemoryType.EPISODIC)
    assert (await engine.delete_matching(NS, everything)).deleted == COUNT - 1


async def test_parts_follow_one_another_without_gap(engine: MemoryEngine) -> None:
    deleted, after = 0, None
    while True:
        part = await engine.delete_matching(NS, EVEN, after=after, limit=3)
        assert part.examined <= 3
        deleted += part.deleted
        after = part.next_after
        if after is None:
            break
    assert (deleted, await left(engine)) == (10, list(range(1, COUNT, 2)))


async def test_what_was_deleted_or_has_expired_is_not_picked(
    house: House, engine: MemoryEngine
) -> None:
    await engine.delete(NS, at(0))
    await engine.store(NS, fact(2, ttl=timedelta(seconds=1)))
    await house.clock.advance(timedelta(seconds=2))
    assert (await engine.delete_matching(NS, EVEN, dry_run=True)).matched == 8


async def test_links_go_with_what_is_deleted(engine: MemoryEngine) -> None:
    await engine.link(NS, at(0), at(1))
    await engine.delete_matching(NS, EVEN)
    assert (await engine.check()).consistent
    assert (await engine.stats(NS)).links == 0


async def test_more_than_a_page_is_deleted(house: House) -> None:
    async with house.open() as engine:
        await fill(engine, 1000)
        assert (await engine.delete_matching(NS, EVEN)).deleted == 500


async def test_nothing_to_pick_by_is_refused() -> None:
    with pytest.raises(InvalidInputError) as refusal:
        Selection(filter=parse_filter({}))
    assert refusal.value.field == "filters"


@pytest.mark.parametrize("limit", [0, MAX_EXAMINED + 1])
async def test_a_limit_out_of_bounds_is_refused(engine: MemoryEngine, limit: int) -> None:
    with pytest.raises((LimitExceededError, InvalidInputError)):
        await engine.delete_matching(NS, EVEN, limit=limit)
    assert len(await left(engine)) == COUNT


async def test_a_failure_leaves_the_rest_to_the_next_call(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        await fill(engine)
        faults.kv.lose_reply("commit")
        with pytest.raises(BackendUnavailableError):
            await engine.delete_matching(NS, EVEN)
        await engine.delete_matching(NS, EVEN)
        assert await left(engine) == list(range(1, COUNT, 2))


class TestOnce:
    async def test_a_repetition_leaves_alone_what_was_stored_since(
        self, engine: MemoryEngine
    ) -> None:
        first = await engine.delete_matching(NS, EVEN, idempotency_key=KEY)
        await engine.store(NS, fact(4))
        await engine.store(NS, fact(100))
        again = await engine.delete_matching(NS, EVEN, idempotency_key=KEY)
        assert replace(again, position=first.position) == first
        assert first.deleted == 10
        assert await left(engine) == sorted([*range(1, COUNT, 2), 4, 100])

    async def test_one_that_was_cut_off_goes_on_where_it_was(self, house: House) -> None:
        faults = Faults()
        async with house.open(faults=faults) as engine:
            everything = Selection(type=MemoryType.EPISODIC)
            await fill(engine, 1000)
            # The first commit keeps what was found; the second deletes the first page of it.
            faults.kv.lose_reply("commit", nth=2)
            with pytest.raises(BackendUnavailableError):
                await engine.delete_matching(NS, everything, idempotency_key=KEY)
            await engine.store(NS, fact(0))
            again = await engine.delete_matching(NS, everything, idempotency_key=KEY)
            assert (again.deleted, again.matched) == (1000, 1000)
            assert await left(engine) == [0]

    async def test_of_many_at_once_all_answer_alike(self, house: House) -> None:
        async with house.open(events=True) as one, house.open(events=True) as other:
            await fill(one)
            answers = await asyncio.gather(
                *(
                    engine.delete_matching(NS, EVEN, idempotency_key=KEY)
                    for engine in [one, other] * 32
                )
            )
            await house.sweep()
        assert {answer.deleted for answer in answers} == {10}
        told = [event.type for event in house.sink.events]
        assert told.count(EventType.MEMORY_DELETED) == 10

    async def test_the_key_of_another_filter_is_refused(self, engine: MemoryEngine) -> None:
        await engine.delete_matching(NS, EVEN, idempotency_key=KEY)
        odd = Selection(filter=parse_filter({"parity": "odd"}))
        with pytest.raises(IdempotencyKeyReusedError):
            await engine.delete_matching(NS, odd, idempotency_key=KEY)
        assert len(await left(engine)) == 10

    async def test_a_dry_run_keeps_nothing(self, engine: MemoryEngine) -> None:
        await engine.delete_matching(NS, EVEN, dry_run=True, idempotency_key=KEY)
        assert (await engine.delete_matching(NS, EVEN, idempotency_key=KEY)).deleted == 10
