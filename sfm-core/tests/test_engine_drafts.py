"""A memory is embedded while the truth commits it, and that is never more than a head start."""

from __future__ import annotations

import asyncio

import pytest
from engine_house import NS, Faults, House, ask, at, new

from sfm_core.errors import BackendUnavailableError, LimitExceededError, VersionConflictError
from sfm_core.model.report import Stored

HERE = at(1)


async def test_a_memory_is_embedded_while_the_truth_commits_it(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        truth, embedder = faults.kv.hold("commit"), faults.embedder.hold("embed")
        writing = asyncio.create_task(engine.store(NS, new(HERE, "whale")))
        await truth.reached()
        await embedder.reached()
        embedder.open()
        truth.open()
        assert (await writing).indexed
        assert [hit.memory.coordinate for hit in await engine.recall(NS, ask("whale"))] == [HERE]


async def test_the_memories_of_a_group_are_embedded_by_one_call(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        faults.embedder.calls.clear()
        await engine.store_many(NS, [new(at(number), f"text {number}") for number in range(100)])
        assert faults.embedder.calls["embed"] == 1


async def test_what_is_indexed_is_what_the_truth_holds_whoever_embedded_first(
    house: House,
) -> None:
    # Another process replaces the memory between the commit and the index.
    faults = Faults()
    async with house.open(faults=faults) as engine, house.open() as other:
        gate = faults.vector.hold("upsert")
        writing = asyncio.create_task(engine.store(NS, new(HERE, "early whale")))
        await gate.reached()
        await other.store(NS, new(HERE, "late heron"))
        gate.open()
        await writing
        await engine.stats(NS)
    async with house.open() as engine:
        assert (await engine.check()).consistent
        assert await house.points() == {HERE: 2}


async def test_an_embedder_that_is_down_fails_no_write_and_is_asked_again(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        faults.embedder.fail(
            "embed", error=lambda: BackendUnavailableError("down", backend="faulty"), times=None
        )
        stored = await engine.store(NS, new(HERE, "whale"))
        assert (stored.version, stored.indexed) == (1, False)
        faults.clear()
        await house.sweep()
        assert await house.points() == {HERE: 1}


async def test_a_text_that_cannot_be_embedded_keeps_no_other_of_its_group_from_the_index(
    house: House,
) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        # The first call is for the whole group, and does not say whose text it was.
        faults.embedder.fail("embed", error=lambda: LimitExceededError("too long", field="texts"))
        stored = await engine.store_many(NS, [new(at(number)) for number in range(5)])
        assert [isinstance(each, Stored) and each.indexed for each in stored] == [True] * 5


async def test_what_is_refused_leaves_no_trace_of_its_vector(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HERE, "whale"))
        with pytest.raises(VersionConflictError):
            await engine.store(NS, new(HERE, "heron", expected_version=0))
        assert await house.points() == {HERE: 1}
        assert (await engine.check()).consistent
