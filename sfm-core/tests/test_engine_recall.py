"""Recall returns what the truth holds, whatever the vector store says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from engine_house import NS, Faults, House, ask, at, eventually, found, new

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import (
    BackendUnavailableError,
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
)
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import MemoryType, NewMemory
from sfm_core.model.query import RecallQuery
from sfm_core.protocols.vector import Point, PointId
from sfm_core.testing.samples import axis

A, B, C = at(1), at(2), at(3)

# What a Python version may change shows here.
pytestmark = pytest.mark.smoke


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def engine(house: House, faults: Faults) -> AsyncIterator[MemoryEngine]:
    async with house.open(faults=faults) as opened:
        yield opened


def point(
    house: House, where: Coordinate, text: str, *, version: int = 1, namespace: str = NS
) -> Point:
    return Point(
        id=PointId(namespace=namespace, coordinate=where),
        version=version,
        type=MemoryType.EPISODIC,
        payload={"text": text},
        vector=axis(0, house.collection.dimension),
        terms=dict.fromkeys(text.split(), 1.0),
    )


async def test_the_best_answer_comes_first_with_score_and_parts(engine: MemoryEngine) -> None:
    await engine.store(NS, new(A, "the blue whale eats krill"))
    await engine.store(NS, new(B, "a recipe for apple pie"))
    first, second = await engine.recall(NS, ask("what does the whale eat"))
    assert (first.memory.coordinate, second.memory.coordinate) == (A, B)
    assert 1 >= first.score > second.score >= 0
    assert {"dense", "keyword", "relevance", "recency", "importance"} <= first.parts.keys()


async def test_no_more_than_asked_for_is_returned(engine: MemoryEngine) -> None:
    await engine.store_many(NS, [new(at(n), f"thing {n}") for n in range(20)])
    assert len(await engine.recall(NS, ask("thing", 7))) == 7


async def test_a_thousand_answers_can_be_had(engine: MemoryEngine) -> None:
    for start in (0, 1000):
        await engine.store_many(NS, [new(at(start + n), f"thing {n}") for n in range(1000)])
    assert len(await engine.recall(NS, ask("thing", 1000))) == 1000


async def test_many_large_questions_at_once_are_answered(engine: MemoryEngine) -> None:
    for number in range(12):
        await engine.store_many(f"n{number}", [new(at(n), f"thing {n}") for n in range(1000)])
    answers = await asyncio.gather(
        *(engine.recall(f"n{number}", ask("thing", 1000)) for number in range(12))
    )
    assert [len(answer) for answer in answers] == [1000] * 12


async def test_the_deleted_are_not_recalled_though_their_points_stay(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A, "secret"))
    faults.vector.fail("delete", times=None)
    await engine.delete(NS, A)
    assert await house.points() == {A: 1}
    assert await found(engine, "secret") == []


async def test_points_without_a_memory_are_not_recalled_and_get_removed(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A, "whale"))
    await house.vector.upsert(house.collection, [point(house, B, "whale")])
    assert await found(engine, "whale") == [A]
    await eventually(lambda: _is(house, {A: 1}))


async def _is(house: House, points: dict[Coordinate, int]) -> bool:
    return await house.points() == points


@pytest.mark.parametrize("version", [1, 3])
async def test_a_point_of_another_version_answers_with_the_truth_and_gets_repaired(
    house: House, engine: MemoryEngine, version: int
) -> None:
    await engine.store(NS, new(A, "whale one"))
    await engine.store(NS, new(A, "whale two"))
    await house.vector.upsert(house.collection, [point(house, A, "whale", version=version)])
    [answer] = await engine.recall(NS, ask("whale"))
    assert (answer.memory.version, answer.memory.payload) == (2, {"text": "whale two"})
    await eventually(lambda: _is(house, {A: 2}))


async def test_memories_that_match_no_longer_are_not_recalled_though_their_points_do(
    faults: Faults, engine: MemoryEngine
) -> None:
    await engine.store(NS, NewMemory(coordinate=A, payload={"text": "x", "topic": "old"}))
    faults.vector.fail("upsert", times=None)
    changed = NewMemory(
        coordinate=A, payload={"text": "x", "topic": "new"}, type=MemoryType.SEMANTIC
    )
    assert not (await engine.store(NS, changed)).indexed
    assert await found(engine, "x", where={"topic": "old"}) == []
    assert await found(engine, "x", type=MemoryType.EPISODIC) == []


async def test_filters_and_types_narrow_the_answers(engine: MemoryEngine) -> None:
    for number, topic in enumerate(("a", "b", "a")):
        kind = MemoryType.SEMANTIC if number else MemoryType.EPISODIC
        await engine.store(
            NS, NewMemory(coordinate=at(number), payload={"text": "x", "topic": topic}, type=kind)
        )
    assert set(await found(engine, "x", where={"topic": "a"})) == {at(0), at(2)}
    assert set(await found(engine, "x", type=MemoryType.SEMANTIC)) == {at(1), at(2)}
    assert await found(engine, "x", where={"topic": {"$in": ["c"]}}) == []


async def test_other_namespaces_never_answer(engine: MemoryEngine) -> None:
    await engine.store("theirs", new(A, "whale"))
    await engine.store(NS, new(A, "something else"))
    await engine.delete(NS, A)
    assert await found(engine, "whale") == []
    assert await engine.recall("never", ask("whale")) == []


async def test_enough_is_found_behind_hundreds_of_dead_points(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store_many(NS, [new(at(n), "nothing alike") for n in range(5)])
    ghosts = [
        Point(
            id=PointId(namespace=NS, coordinate=at(1000 + n)),
            version=1,
            type=MemoryType.EPISODIC,
            payload={},
            vector=axis(1, house.collection.dimension),
            terms={"whale": 5.0},
        )
        for n in range(700)
    ]
    await house.vector.upsert(house.collection, ghosts)
    assert len(await found(engine, "whale", 5)) == 5


async def test_the_words_of_the_context_help_but_count_less(engine: MemoryEngine) -> None:
    await engine.store(NS, new(A, "mercury the planet"))
    await engine.store(NS, new(B, "mercury the metal"))
    assert (await found(engine, "mercury", context="planet"))[0] == A
    assert (await found(engine, "mercury", context="metal"))[0] == B
    assert (await found(engine, "metal", context="planet"))[0] == B


@pytest.mark.parametrize("arm", ["dense", "keyword"])
async def test_one_arm_can_be_left_out(engine: MemoryEngine, arm: str) -> None:
    await engine.store(NS, new(A, "whale"))
    [answer] = await engine.recall(NS, ask("whale", arms=frozenset({arm})))
    assert arm in answer.parts
    assert not {"dense", "keyword"} - {arm} & answer.parts.keys()


async def test_many_questions_are_answered_in_their_order_and_share_the_work(
    faults: Faults, engine: MemoryEngine
) -> None:
    await engine.store_many(NS, [new(at(n), f"animal number{n}") for n in range(30)])
    faults.vector.calls.clear()
    faults.embedder.calls.clear()
    answers = await engine.recall_many(NS, [ask(f"number{n}", 1) for n in range(30)])
    assert [a.memory.coordinate for [a] in answers] == [at(n) for n in range(30)]
    assert faults.embedder.calls["embed"] <= 2
    assert faults.vector.calls["search"] <= 2


async def test_no_question_has_no_answer(engine: MemoryEngine) -> None:
    assert await engine.recall_many(NS, []) == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        (ask(""), "query"),
        (ask(" \n\t"), "query"),
        (ask("x", 0), "top_k"),
        (ask("x", -1), "top_k"),
        (ask("x", 1001), "top_k"),
        (ask("x" * 20_001), "query"),
        (ask("x", context="y" * 20_000), "query"),
        (ask("half \ud800 a character"), "query"),
        (ask("x", context="half \udfff a character"), "context"),
        (ask("x", arms=frozenset[str]()), "arms"),
        (ask("x", arms=frozenset({"dense", "sparse"})), "arms"),
    ],
)
async def test_questions_that_cannot_be_answered_are_refused(
    engine: MemoryEngine, query: RecallQuery, field: str
) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        await engine.recall(NS, query)
    assert refusal.value.field == field


async def test_too_many_questions_are_refused(engine: MemoryEngine) -> None:
    with pytest.raises(LimitExceededError):
        await engine.recall_many(NS, [ask("x")] * 1001)


async def test_an_outage_of_search_fails_recall_and_nothing_else(
    faults: Faults, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A, "whale"))
    faults.vector.fail("search", times=None)
    with pytest.raises(BackendUnavailableError):
        await engine.recall(NS, ask("whale"))
    assert (await engine.get(NS, A)).version == 1
    faults.clear()
    assert await found(engine, "whale") == [A]


async def test_a_recall_that_is_cancelled_does_not_harm_its_batch_mates(
    faults: Faults, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A, "whale"))
    gate = faults.vector.hold("search", times=None)
    tasks = [asyncio.create_task(engine.recall(NS, ask("whale"))) for _ in range(6)]
    await gate.reached()
    tasks[0].cancel()
    tasks[3].cancel()
    faults.clear()
    answers = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(a, asyncio.CancelledError) for a in answers] == [
        True,
        False,
        False,
        True,
        False,
        False,
    ]
    assert all(len(a) == 1 for a in answers if not isinstance(a, BaseException))


async def test_what_was_deleted_while_the_search_ran_is_not_returned(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A, "whale"))
    gate = faults.vector.hold_reply("search")
    recall = asyncio.create_task(engine.recall(NS, ask("whale")))
    await gate.reached()
    async with house.open() as other:
        await other.delete(NS, A)
    gate.open()
    assert await recall == []


async def test_one_unreadable_memory_fails_only_the_recall_that_meets_it(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A, "whale"))
    await engine.store("fine", new(B, "whale"))
    await house.corrupt(NS, A)
    broken, fine = await asyncio.gather(
        engine.recall(NS, ask("whale")), engine.recall("fine", ask("whale")), return_exceptions=True
    )
    assert not isinstance(fine, BaseException)
    assert getattr(broken, "code", "") == "corrupt-data"
    with pytest.raises(NotFoundError):
        await engine.get(NS, B)


async def test_a_point_that_strayed_from_another_namespace_shows_nothing_of_it(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store("theirs", NewMemory(coordinate=A, payload={"text": "canary of theirs"}))
    await engine.store("theirs", NewMemory(coordinate=B, payload={"text": "canary of theirs"}))
    await engine.store(NS, NewMemory(coordinate=A, payload={"text": "ours"}))
    strayed = [point(house, A, "canary of theirs"), point(house, B, "canary of theirs")]
    await house.vector.upsert(house.collection, strayed)

    recalled = await engine.recall(NS, RecallQuery(text="canary of theirs", top_k=10))

    assert [one.memory.payload for one in recalled] == [{"text": "ours"}]
