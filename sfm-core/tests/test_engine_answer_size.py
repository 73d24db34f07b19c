"""No answer is larger than it may be: a recall is refused, a page ends earlier."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from engine_house import NS, SETTINGS, ask, at, found, new, open_house

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import LimitExceededError
from sfm_core.model.memory import Memory
from sfm_core.model.page import Page

LIMITS = replace(SETTINGS.limits, max_answer_bytes=2500)
LONG = timedelta(seconds=20)
HUGE = at(9)


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    """An engine with four memories of some 1000 bytes, two of which are an answer."""
    async with open_house() as house, house.open(replace(SETTINGS, limits=LIMITS)) as opened:
        for number in range(4):
            await opened.store(NS, new(at(number), "whale " * 165))
        yield opened


def places(page: Page[Memory]) -> list[object]:
    return [one.coordinate for one in page.items]


async def test_a_recall_whose_answer_is_too_large_is_refused(engine: MemoryEngine) -> None:
    assert len(await found(engine, "whale", 2)) == 2
    with pytest.raises(LimitExceededError, match="top_k") as refused:
        await engine.recall(NS, ask("whale", 3))
    assert refused.value.field == "top_k"
    with pytest.raises(LimitExceededError):
        await engine.recall_within(NS, ask("whale", 3), LONG)


async def test_the_answers_to_all_questions_of_a_call_count_together(engine: MemoryEngine) -> None:
    [one, other] = await engine.recall_many(NS, [ask("whale", 1)] * 2)
    assert one == other
    with pytest.raises(LimitExceededError, match="fewer queries"):
        await engine.recall_many(NS, [ask("whale", 1)] * 3)
    with pytest.raises(LimitExceededError):
        await engine.recall_many_within(NS, [ask("whale", 1)] * 3, LONG)


@pytest.mark.parametrize("questions", [100, 130])
async def test_they_count_together_however_many_they_are(questions: int) -> None:
    limits = replace(LIMITS, max_answer_bytes=99_000)
    async with open_house() as house, house.open(replace(SETTINGS, limits=limits)) as engine:
        await engine.store(NS, new(HUGE, "whale " * 165))
        with pytest.raises(LimitExceededError):
            await engine.recall_many(NS, [ask("whale", 1)] * questions)
        with pytest.raises(LimitExceededError):
            await engine.recall_many_within(NS, [ask("whale", 1)] * questions, LONG)


async def test_a_single_memory_is_always_answered(engine: MemoryEngine) -> None:
    await engine.store(NS, new(HUGE, "walrus " * 1000))
    assert await found(engine, "walrus", 1) == [HUGE]
    assert places(await engine.memories_page(NS, after=at(3))) == [HUGE]
    assert places(await engine.history_page(NS, HUGE)) == [HUGE]


async def test_a_page_of_memories_ends_before_it_is_too_large(engine: MemoryEngine) -> None:
    first = await engine.memories_page(NS)
    assert (places(first), first.more) == ([at(0), at(1)], True)
    second = await engine.memories_page(NS, after=at(1))
    assert (places(second), second.more) == ([at(2), at(3)], False)
    assert len(await engine.list_memories(NS)) == 4


async def test_a_page_of_a_history_ends_before_it_is_too_large(engine: MemoryEngine) -> None:
    for _ in range(3):
        await engine.store(NS, new(at(0), "whale " * 165))
    versions: list[int] = []
    page = await engine.history_page(NS, at(0))
    while page.more:
        assert len(page.items) == 2
        versions += [one.version for one in page.items]
        page = await engine.history_page(NS, at(0), before=versions[-1])
    assert [*versions, *(one.version for one in page.items)] == [4, 3, 2, 1]
    assert len(await engine.history(NS, at(0))) == 4
