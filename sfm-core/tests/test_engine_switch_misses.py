"""What could be found is found, though the collection that serves next could not follow it."""

from __future__ import annotations

import pytest
from engine_house import NS, Faults, House, at, eventually, found, new

pytestmark = pytest.mark.usefixtures("whales")


async def test_what_could_be_found_is_found_when_a_collection_serves_that_did_not_follow(
    house: House,
) -> None:
    faults = Faults()
    gate = faults.vector.hold_reply("upsert")
    async with house.open(embedder="small", faults=faults, settled=False) as engine:
        await gate.reached()
        faults.other.fail("embed")
        assert (await engine.store(NS, new(at(99), "a new shark"))).indexed
        assert await found(engine, "shark", 1) == [at(99)]
        faults.kv.fail("claim", times=None)
        gate.open()
        await house.settle(engine)
        assert await found(engine, "shark", 1) == [at(99)]
        assert await house.outbox_depth() == 1


async def test_a_build_looks_for_what_another_engine_could_not_have_it_follow(house: House) -> None:
    building, writing = Faults(), Faults()
    gate = building.vector.hold_reply("upsert")
    async with house.open(embedder="small", faults=building, settled=False) as builder:
        await gate.reached()
        async with house.open(faults=writing, decides=False, settled=False) as writer:
            writing.other.fail("embed")
            assert (await writer.store(NS, new(at(99), "a new shark"))).indexed
            for faults in (building, writing):
                faults.kv.fail("claim", times=None)
            gate.open()
            await house.settle(builder)
            for engine in (builder, writer):
                assert await found(engine, "shark", 1) == [at(99)]
            assert await house.outbox_depth() == 1


async def test_a_write_is_not_said_to_be_found_that_misses_what_has_begun_to_serve(
    house: House,
) -> None:
    building, writing = Faults(), Faults()
    gate = building.vector.hold_reply("upsert")
    async with house.open(embedder="small", faults=building, settled=False) as builder:
        await gate.reached()
        async with house.open(faults=writing, decides=False, settled=False) as writer:
            gate.open()
            await eventually(lambda: not builder.rebuilding)
            assert writer.rebuilding
            writing.other.fail("embed")
            stored = await writer.store(NS, new(at(99), "a new shark"))
            assert not stored.indexed
            await house.nothing_waits(sweeping=True)
            assert await builder.wait_for(stored.position)
            assert await found(builder, "shark", 1) == [at(99)]
