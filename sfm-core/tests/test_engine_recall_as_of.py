"""A recall shows, filters and ranks what it finds as it was at an earlier time."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from engine_house import NS, SETTINGS, House, ask, at, new

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import InvalidInputError
from sfm_core.model.memory import MemoryType
from sfm_core.model.payload import Payload
from sfm_core.model.why_not import WhyNotReason

A, B, C = at(1), at(2), at(3)
DAY = timedelta(days=1)


@pytest.fixture
async def then(house: House, engine: MemoryEngine) -> datetime:
    """Return a time at which A was still at sea and C was not there yet."""
    await engine.store(NS, new(A, payload={"text": "the whale is at sea", "mood": "calm"}))
    await engine.store(NS, new(B, "a whale, always"))
    moment = house.clock.now()
    await house.clock.advance(DAY)
    changed = {"text": "the whale is in the bay", "mood": "wild"}
    await engine.store(NS, new(A, payload=changed, type=MemoryType.SEMANTIC))
    await engine.store(NS, new(C, "another whale"))
    return moment


async def texts(
    engine: MemoryEngine, question: str = "whale", *, where: Payload | None = None, **more: object
) -> set[str]:
    found = await engine.recall(NS, ask(question, 5, where=where, **more))
    return {str(one.memory.payload["text"]) for one in found}


async def test_what_is_found_is_shown_as_it_was(engine: MemoryEngine, then: datetime) -> None:
    assert await texts(engine, as_of=then) == {"the whale is at sea", "a whale, always"}
    assert await texts(engine) == {"the whale is in the bay", "a whale, always", "another whale"}


async def test_it_is_found_by_what_it_says_now(engine: MemoryEngine, then: datetime) -> None:
    arms = frozenset({"keyword"})
    assert await texts(engine, "bay", as_of=then, arms=arms) == {"the whale is at sea"}
    assert await texts(engine, "sea", as_of=then, arms=arms) == set()


async def test_filter_and_type_look_at_what_it_was(engine: MemoryEngine, then: datetime) -> None:
    assert await texts(engine, as_of=then, where={"mood": "calm"}) == {"the whale is at sea"}
    assert await texts(engine, as_of=then, where={"mood": "wild"}) == set()
    assert await texts(engine, as_of=then, type=MemoryType.SEMANTIC) == set()


async def test_what_a_filter_passed_then_is_found_behind_many_that_it_does_not(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A, payload={"text": "whale", "kept": True}))
    await engine.store_many(NS, [new(at(number), "whale whale") for number in range(10, 400)])
    moment = house.clock.now()
    await house.clock.advance(DAY)
    await engine.store(NS, new(A, payload={"text": "whale and far more than that"}))
    assert await texts(engine, as_of=moment, where={"kept": True}) == {"whale"}


async def test_how_recent_it_was_counts_from_then(engine: MemoryEngine, then: datetime) -> None:
    found = await engine.recall(NS, ask("whale", as_of=then))
    assert {one.memory.version for one in found} == {1}
    assert all(one.memory.updated_at <= then for one in found)


async def test_what_was_deleted_since_is_not_found(engine: MemoryEngine, then: datetime) -> None:
    await engine.delete(NS, A)
    assert await texts(engine, as_of=then) == {"a whale, always"}
    told = await engine.why_not(NS, ask("whale", as_of=then), A)
    assert told.reason is WhyNotReason.DELETED


async def test_what_nobody_knows_any_more_is_left_out(house: House) -> None:
    async with house.open(replace(SETTINGS, history_limit=1)) as engine:
        await engine.store(NS, new(B, "a whale, always"))
        moments: list[datetime] = []
        for number in range(3):
            await engine.store(NS, new(A, f"whale {number}"))
            moments.append(house.clock.now())
            await house.clock.advance(DAY)
        assert await texts(engine, as_of=moments[0]) == {"a whale, always"}
        assert await texts(engine, as_of=moments[1]) == {"a whale, always", "whale 1"}
        told = await engine.why_not(NS, ask("whale", as_of=moments[0]), A)
        assert told.reason is WhyNotReason.HISTORY_GONE


@pytest.mark.parametrize(
    ("place", "reason"), [(A, WhyNotReason.RETURNED), (C, WhyNotReason.ABSENT)]
)
async def test_reasons_are_those_of_then(
    engine: MemoryEngine, then: datetime, place: object, reason: WhyNotReason
) -> None:
    assert place in {A, C}
    told = await engine.why_not(NS, ask("whale", as_of=then), A if place == A else C)
    assert told.reason is reason
    assert told.version == (1 if place == A else None)


async def test_questions_about_different_times_are_answered_together(
    house: House, engine: MemoryEngine, then: datetime
) -> None:
    asked = [ask("whale", as_of=moment) for moment in (then, None, then - DAY, house.clock.now())]
    before, now, nothing, same = await engine.recall_many(NS, asked)
    assert (len(before), len(now), len(nothing)) == (2, 3, 0)
    assert [one.memory.coordinate for one in same] == [one.memory.coordinate for one in now]


async def test_looking_back_does_not_count_as_reading(
    house: House, engine: MemoryEngine, then: datetime
) -> None:
    await engine.recall(NS, ask("whale", as_of=then))
    await house.sweep()
    assert (await engine.access(NS, A)).count == 0


async def test_a_time_without_a_zone_is_refused(engine: MemoryEngine) -> None:
    with pytest.raises(InvalidInputError) as refused:
        await engine.recall(NS, ask("whale", as_of=datetime(2026, 1, 1)))  # noqa: DTZ001 - the point
    assert refused.value.field == "as_of"
