"""The engine tells why a memory is not among the answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from engine_house import EVENTED, NS, SETTINGS, House, ask, at, new

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import InvalidInputError
from sfm_core.model.filters import parse_filter
from sfm_core.model.memory import MemoryType
from sfm_core.model.why_not import WhyNotReason
from sfm_core.settings import RankingSettings

A, B = at(1), at(2)


async def test_a_memory_that_never_was(engine: MemoryEngine) -> None:
    told = await engine.why_not(NS, ask("whale"), A)
    assert (told.reason, told.version) == (WhyNotReason.ABSENT, None)


async def test_a_memory_that_was_deleted(engine: MemoryEngine) -> None:
    await engine.store(NS, new(A, "whale"))
    await engine.delete(NS, A)
    told = await engine.why_not(NS, ask("whale"), A)
    assert (told.reason, told.version) == (WhyNotReason.DELETED, 2)


async def test_a_memory_that_has_expired(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, replace(new(A, "whale"), ttl=timedelta(seconds=1)))
    await house.clock.advance(timedelta(seconds=2))
    assert (await engine.why_not(NS, ask("whale"), A)).reason is WhyNotReason.EXPIRED


async def test_a_memory_of_another_type(engine: MemoryEngine) -> None:
    await engine.store(NS, new(A, "whale"))
    query = replace(ask("whale"), type=MemoryType.SEMANTIC)
    assert (await engine.why_not(NS, query, A)).reason is WhyNotReason.TYPE


async def test_the_condition_that_is_not_met_is_named(engine: MemoryEngine) -> None:
    await engine.store(NS, new(A, "whale"))
    filters = {"text": "whale", "$and": [{"year": {"$gt": 2000}}, {"text": {"$exists": True}}]}
    query = replace(ask("whale"), filter=parse_filter(filters))
    told = await engine.why_not(NS, query, A)
    assert told.reason is WhyNotReason.FILTER
    assert told.condition == {"year": {"$gt": 2000}}


async def test_a_memory_that_is_not_indexed_yet(house: House) -> None:
    async with house.open(EVENTED) as engine:
        await engine.store(NS, new(A, "whale"))
        told = await engine.why_not(NS, ask("whale"), A)
    assert (told.reason, told.version, told.indexed_version) == (WhyNotReason.NOT_INDEXED, 1, None)


async def test_a_memory_whose_words_are_not_asked_for(engine: MemoryEngine) -> None:
    await engine.store(NS, new(A, "whale"))
    query = replace(ask("pie"), arms=frozenset({"keyword"}))
    told = await engine.why_not(NS, query, A)
    assert (told.reason, told.indexed_version) == (WhyNotReason.UNMATCHED, 1)


async def test_a_memory_behind_those_that_were_asked_for(engine: MemoryEngine) -> None:
    await engine.store_many(NS, [new(at(n), "whale " * (n + 1)) for n in range(5)])
    order = [one.memory.coordinate for one in await engine.recall(NS, ask("whale", 5))]
    told = await engine.why_not(NS, ask("whale", 2), order[3])
    assert (told.reason, told.place) == (WhyNotReason.TOP_K, 4)
    assert {"relevance", "recency", "importance"} <= told.parts.keys()


async def test_a_memory_behind_the_candidates(house: House) -> None:
    ranking = RankingSettings(candidates=2)
    async with house.open(replace(SETTINGS, ranking=ranking)) as engine:
        await engine.store_many(NS, [new(at(n), "whale") for n in range(5)])
        told = await engine.why_not(NS, ask("whale", 1), at(4))
    assert told.reason is WhyNotReason.CANDIDATES
    assert told.place == 5


async def test_a_memory_that_is_an_answer(engine: MemoryEngine) -> None:
    await engine.store(NS, new(A, "whale"))
    [answer] = await engine.recall(NS, ask("whale"))
    told = await engine.why_not(NS, ask("whale"), A)
    assert (told.reason, told.place, told.score) == (WhyNotReason.RETURNED, 1, answer.score)


async def test_an_index_that_is_behind_is_mentioned(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(A, "whale"))
    async with house.open(EVENTED) as other:
        await other.store(NS, new(A, "apple pie"))
        query = replace(ask("pie"), arms=frozenset({"keyword"}))
        told = await other.why_not(NS, query, A)
    assert (told.version, told.indexed_version) == (2, 1)


async def test_what_cannot_be_asked_cannot_be_explained(engine: MemoryEngine) -> None:
    with pytest.raises(InvalidInputError):
        await engine.why_not(NS, ask(" "), A)


async def test_asking_does_not_count_as_reading(engine: MemoryEngine) -> None:
    await engine.store(NS, new(B, "whale"))
    await engine.why_not(NS, ask("whale"), B)
    assert (await engine.access(NS, B)).count == 0
