"""Collections are listed, and dropped where nothing needs them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from engine_house import Faults, House, found

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import InvalidInputError, NotFoundError
from sfm_core.model.report import CollectionState

pytestmark = pytest.mark.usefixtures("whales")


async def state_of(engine: MemoryEngine, embedder: str) -> CollectionState:
    [state] = [s for s in await engine.collections() if s.embedder == f"{embedder}:"]
    return state


def stuck() -> Faults:
    """Faults that keep a collection of another embedder from being filled."""
    faults = Faults()
    faults.other.fail("embed", times=None)
    return faults


async def test_a_kept_collection_can_be_dropped_and_no_other(house: House) -> None:
    async with house.open(embedder="small", faults=stuck(), settled=False) as engine:
        for state in await engine.collections():
            with pytest.raises(InvalidInputError, match="in use"):
                await engine.drop_collection(state.name)
    async with house.open(embedder="small") as engine:
        memory, small = await state_of(engine, "memory"), await state_of(engine, "small")
        with pytest.raises(InvalidInputError, match="in use"):
            await engine.drop_collection(small.name)
        await engine.drop_collection(memory.name)
        assert [c.name for c in await house.vector.collections()] == [small.name]
        assert await engine.collections() == [await state_of(engine, "small")]
        with pytest.raises(NotFoundError):
            await engine.drop_collection(memory.name)
    async with house.open() as engine:
        assert len(await found(engine, "whale", 50)) == 20


async def test_a_collection_that_the_truth_does_not_know_is_listed_and_can_be_dropped(
    house: House,
) -> None:
    stranger = replace(house.collection, name="stranger")
    await house.vector.ensure(stranger)
    async with house.open() as engine:
        assert [s.role for s in await engine.collections()] == ["serving", "unlisted"]
        await engine.drop_collection("stranger")
        assert [s.role for s in await engine.collections()] == ["serving"]


async def test_a_collection_that_an_engine_wants_while_it_is_dropped_is_built_anew(
    house: House,
) -> None:
    faults = Faults()
    async with house.open(embedder="small") as engine:
        pass
    gate = faults.vector.hold("drop")
    async with house.open(embedder="small", faults=faults) as engine:
        memory = await state_of(engine, "memory")
        dropping = asyncio.create_task(engine.drop_collection(memory.name))
        await gate.reached()
        async with house.open(embedder="memory", settled=False) as other:
            gate.open()
            await dropping
            await house.settle(other)
            assert (await state_of(other, "memory")).role == "serving"
            assert len(await found(other, "whale", 50)) == 20
            assert (await other.check()).consistent
