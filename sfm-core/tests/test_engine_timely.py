"""A recall with a deadline answers in time, and says what it had to do without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import pytest
from engine_house import NS, Faults, ask, at, let_others_work, new, open_house

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.timely import HEAD_START
from sfm_core.errors import (
    BackendUnavailableError,
    CorruptDataError,
    DeadlineExceededError,
    InvalidInputError,
    LimitExceededError,
)
from sfm_core.model.query import TimelyAnswer
from sfm_core.settings import EngineSettings

A, B = at(1), at(2)
SHORT = timedelta(milliseconds=300)
LONG = timedelta(minutes=1)

AnswerT = TypeVar("AnswerT")


@dataclass(slots=True)
class LoopTime:
    """The time of the event loop, which passes only when it is told to."""

    seconds: float

    def now(self) -> float:
        return self.seconds

    def spend(self, part: float) -> None:
        """Let a part of the short deadline pass."""
        self.seconds += part * SHORT.total_seconds()


@contextmanager
def time_standing_still() -> Generator[LoopTime]:
    """Stop the time of the event loop, so that nothing is late for slowness."""
    loop = asyncio.get_running_loop()
    time = LoopTime(loop.time())
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(loop, "time", time.now)
        yield time


async def at_the_end(work: Awaitable[AnswerT]) -> AnswerT:
    """Return the answer at the short deadline, by when all has come that does not hang."""
    with time_standing_still() as time:
        answer = asyncio.ensure_future(work)
        for part in (HEAD_START, 1 - HEAD_START):
            await let_others_work()
            assert not answer.done()
            time.spend(part)
        return await answer


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def engine(faults: Faults) -> AsyncIterator[MemoryEngine]:
    async with open_house() as house, house.open(faults=faults) as opened:
        await opened.store(NS, new(A, "the blue whale eats krill"))
        await opened.store(NS, new(B, "a recipe for apple pie"))
        yield opened
        faults.clear()


def coordinates(answer: TimelyAnswer) -> list[object]:
    return [one.memory.coordinate for one in answer.found]


async def test_what_comes_in_time_is_the_usual_answer(engine: MemoryEngine) -> None:
    timely = await engine.recall_within(NS, ask("what does the whale eat"), LONG)
    assert list(timely.found) == await engine.recall(NS, ask("what does the whale eat"))
    assert timely.left_out == {}


async def test_warming_up_has_the_model_loaded_and_hides_no_failure_of_it(
    faults: Faults, engine: MemoryEngine
) -> None:
    before = faults.embedder.calls["embed"]
    await engine.warm_up()
    assert faults.embedder.calls["embed"] == before + 1
    faults.embedder.fail("embed", times=None)
    await engine.warm_up()
    timely = await engine.recall_within(NS, ask("whale"), LONG)
    assert timely.left_out == {"dense": "backend-unavailable"}


async def test_a_late_embedder_leaves_the_words(faults: Faults, engine: MemoryEngine) -> None:
    faults.embedder.hold("embed", times=None)
    timely = await at_the_end(engine.recall_within(NS, ask("whale"), SHORT))
    assert coordinates(timely) == [A]
    assert timely.left_out == {"dense": "late"}


async def test_an_embedder_that_fails_leaves_the_words_at_once(
    faults: Faults, engine: MemoryEngine
) -> None:
    faults.embedder.fail("embed", times=None)
    timely = await engine.recall_within(NS, ask("whale"), LONG)
    assert coordinates(timely) == [A]
    assert timely.left_out == {"dense": "backend-unavailable"}


async def test_searches_are_answered_though_the_usual_way_is_jammed(
    faults: Faults, engine: MemoryEngine
) -> None:
    gate = faults.vector.hold("search")
    with time_standing_still() as time:
        answer = asyncio.create_task(engine.recall_within(NS, ask("whale"), SHORT))
        await gate.reached()
        time.spend(HEAD_START)
        timely = await answer
    assert coordinates(timely)[0] == A
    assert timely.left_out == {}


async def test_many_questions_in_time_are_answered_as_without_a_deadline(
    engine: MemoryEngine,
) -> None:
    queries = [ask(text) for text in ("whale", "apple", "krill") * 50]
    timely = await engine.recall_many_within(NS, queries, LONG)
    assert [list(one.found) for one in timely] == await engine.recall_many(NS, queries)


async def test_many_questions_share_their_searches_though_they_are_late(
    faults: Faults, engine: MemoryEngine
) -> None:
    faults.embedder.hold("embed", times=None)
    words = ask("apple", arms=frozenset({"keyword"}))
    before = faults.vector.calls["search"]
    asked = [ask("whale"), words, ask("krill")]
    timely = await at_the_end(engine.recall_many_within(NS, asked, SHORT))
    assert [coordinates(one) for one in timely] == [[A], [B], [A]]
    assert [one.left_out for one in timely] == [{"dense": "late"}, {}, {"dense": "late"}]
    assert faults.vector.calls["search"] == before + 1


async def test_a_deadline_is_no_way_around_the_limit_of_one_call(engine: MemoryEngine) -> None:
    queries = [ask("whale")] * (EngineSettings().limits.max_batch + 1)
    with pytest.raises(LimitExceededError):
        await engine.recall_many_within(NS, queries, LONG)


async def test_it_is_an_error_if_no_search_comes_in_time(
    faults: Faults, engine: MemoryEngine
) -> None:
    faults.vector.hold("search", times=None)
    with pytest.raises(DeadlineExceededError):
        await at_the_end(engine.recall_within(NS, ask("whale"), SHORT))


async def test_a_truth_that_does_not_answer_in_time_is_an_error(
    faults: Faults, engine: MemoryEngine
) -> None:
    faults.kv.hold("get_many", times=None)
    with pytest.raises(DeadlineExceededError):
        await at_the_end(engine.recall_within(NS, ask("whale"), SHORT))


async def test_an_outage_of_search_is_told_at_once(faults: Faults, engine: MemoryEngine) -> None:
    faults.vector.fail("search", times=None)
    with pytest.raises(BackendUnavailableError) as failed:
        await engine.recall_within(NS, ask("whale"), LONG)
    assert not isinstance(failed.value, DeadlineExceededError)


async def test_an_unreadable_memory_is_told(faults: Faults) -> None:
    async with open_house() as house, house.open(faults=faults) as opened:
        await opened.store(NS, new(A, "whale"))
        await house.corrupt(NS, A)
        with pytest.raises(CorruptDataError):
            await opened.recall_within(NS, ask("whale"), LONG)


@pytest.mark.parametrize("seconds", [0, -1])
async def test_no_time_is_refused(engine: MemoryEngine, seconds: float) -> None:
    with pytest.raises(InvalidInputError):
        await engine.recall_within(NS, ask("whale"), timedelta(seconds=seconds))


async def test_the_engine_closes_while_searches_that_were_given_up_still_hang(
    faults: Faults,
) -> None:
    async with open_house() as house:
        async with house.open(faults=faults) as opened:
            await opened.store(NS, new(A, "whale"))
            gate = faults.embedder.hold("embed", times=None)
            timely = await at_the_end(opened.recall_within(NS, ask("whale"), SHORT))
            gate.open()
        assert timely.left_out == {"dense": "late"}


async def test_many_with_deadlines_are_answered_while_the_embedder_hangs(
    faults: Faults, engine: MemoryEngine
) -> None:
    faults.embedder.hold("embed", times=None)
    answers = await at_the_end(
        asyncio.gather(*(engine.recall_within(NS, ask("whale"), SHORT) for _ in range(64)))
    )
    assert {tuple(coordinates(one)) for one in answers} == {(A,)}
