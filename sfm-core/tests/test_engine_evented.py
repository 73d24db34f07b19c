"""An engine that leaves indexing to others, and one that does it for it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from engine_house import EVENTED, LEASE, NS, SETTINGS, Faults, House, at, found, new

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.keys import memory_key

A, B, C = at(1), at(2), at(3)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def engine(house: House, faults: Faults) -> AsyncIterator[MemoryEngine]:
    async with house.open(EVENTED, faults=faults) as made:
        for plan in (faults.kv, faults.vector, faults.graph, faults.embedder):
            plan.calls.clear()
        yield made


@pytest.fixture
async def follower(house: House) -> AsyncIterator[MemoryEngine]:
    async with house.open() as made:
        yield made


async def test_a_write_is_answered_without_the_embedder_and_the_derived_stores(
    house: House, engine: MemoryEngine, faults: Faults
) -> None:
    for plan in (faults.vector, faults.graph, faults.embedder):
        for method in ("upsert", "delete", "apply", "embed"):
            plan.fail(method, times=None)
    assert not (await engine.store(NS, new(A))).indexed
    await engine.store_many(NS, [new(B), new(C)])
    await engine.link(NS, A, B)
    await engine.unlink(NS, A, B)
    await engine.delete(NS, A)
    assert sum(plan.struck.total() for plan in (faults.vector, faults.graph, faults.embedder)) == 0
    assert await house.outbox_depth() == 6


async def test_what_is_written_is_there_at_once_for_those_who_know_where(
    engine: MemoryEngine,
) -> None:
    await engine.store(NS, new(A, "a whale"))
    assert (await engine.get(NS, A)).payload == {"text": "a whale"}
    assert await engine.range(NS, A, B) == [A]
    assert (await engine.stats(NS)).total_memories == 1


async def test_notes_can_be_had_at_once(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(A))
    claimed = await house.kv.claim(owner="another", limit=10, lease=LEASE)
    assert [note.key for note in claimed] == [memory_key(A)]


async def test_it_takes_nothing_over_in_its_own_rounds(
    house: House, engine: MemoryEngine, faults: Faults
) -> None:
    await engine.store(NS, new(A))
    for _ in range(20):
        await house.sweep()
    assert faults.kv.calls["claim"] == 0
    assert await house.outbox_depth() == 1


async def test_another_engine_follows_and_recall_finds_it(
    house: House, engine: MemoryEngine, follower: MemoryEngine
) -> None:
    await engine.store(NS, new(A, "a whale in the bay"))
    await engine.store(NS, new(B, "a fox in the wood"))
    await engine.link(NS, A, B)
    assert await found(engine, "whale") == []
    await house.sweep()
    assert await found(engine, "whale", 1) == [A]
    assert [link.target for link in await engine.neighbors(NS, A)] == [B]
    assert await house.outbox_depth() == 0
    assert (await follower.check()).consistent


async def test_deletions_and_their_links_are_followed(
    house: House, engine: MemoryEngine, follower: MemoryEngine
) -> None:
    await engine.store_many(NS, [new(A), new(B)])
    await engine.link(NS, A, B)
    await house.sweep()
    await engine.delete(NS, B)
    assert await found(engine, "thing") == [A]
    await house.nothing_waits(sweeping=True)
    assert set(await house.points()) == {A}
    assert await house.edges() == set()
    assert (await follower.check()).consistent


async def test_what_expires_in_its_rounds_is_left_to_others_as_well(
    house: House, engine: MemoryEngine
) -> None:
    async with house.open() as follower:
        await engine.store_many(NS, [new(A, ttl=timedelta(seconds=30)), new(B)])
        await engine.link(NS, B, A)
        await house.sweep()
        assert set(await house.points()) == {A, B}
        assert (await follower.check()).consistent
    await house.sweep(timedelta(seconds=31))
    assert (await engine.stats(NS)).total_memories == 1
    assert set(await house.points()) == {A, B}
    assert await house.outbox_depth() > 0
    async with house.open() as follower:
        await house.nothing_waits(sweeping=True)
        assert set(await house.points()) == {B}
        assert (await follower.check()).consistent


async def test_a_collection_of_another_embedder_is_built_by_others(house: House) -> None:
    async with AsyncExitStack() as stack:
        async with house.open() as first:
            await first.store_many(NS, [new(A, "a whale"), new(B, "a fox")])
        evented = await stack.enter_async_context(
            house.open(EVENTED, embedder="small", settled=False)
        )
        for _ in range(10):
            await house.sweep()
        assert (await evented.health()).rebuilding
        assert not house.embedded
        follower = await stack.enter_async_context(house.open(embedder="small"))
        await house.sweep()
        assert not (await evented.health()).rebuilding
        assert await found(evented, "whale", 1) == [A]
        assert (await follower.check()).consistent


async def test_a_rebuild_that_is_asked_for_is_done(engine: MemoryEngine) -> None:
    await engine.store(NS, new(A, "a whale"))
    await engine.rebuild()
    assert await found(engine, "whale") == [A]
    assert (await engine.check()).consistent


class TestStalePoints:
    """A point that nobody's note speaks of is met by a recall, and noted for whoever follows."""

    async def leave_behind(self, house: House, engine: MemoryEngine) -> None:
        """Have B's point say nothing of its second version, with no note about it."""
        async with house.open() as follower:
            await follower.store_many(NS, [new(A, "a whale"), new(B, "a fox")])
        await engine.store(NS, new(B, "a fox that has moved"))
        await house.kv.acknowledge(await house.kv.claim(owner="lost", limit=10, lease=LEASE))

    async def test_it_is_noted_once_and_not_corrected_here(
        self, house: House, engine: MemoryEngine, faults: Faults
    ) -> None:
        await self.leave_behind(house, engine)
        for _ in range(10):
            assert await found(engine, "fox", 1) == [B]
        assert await house.outbox_depth() == 1
        assert faults.vector.calls["upsert"] == 0

    async def test_it_is_noted_again_where_that_came_to_nothing(
        self, house: House, engine: MemoryEngine
    ) -> None:
        await self.leave_behind(house, engine)
        await found(engine, "fox", 1)
        await house.clock.advance(LEASE * 1.1)
        await found(engine, "fox", 1)
        assert await house.outbox_depth() == 2

    async def test_others_correct_it(self, house: House, engine: MemoryEngine) -> None:
        await self.leave_behind(house, engine)
        await found(engine, "fox", 1)
        async with house.open() as follower:
            await house.nothing_waits(sweeping=True)
            assert (await follower.check()).consistent

    async def test_a_point_of_nothing_goes(self, house: House, engine: MemoryEngine) -> None:
        await self.leave_behind(house, engine)
        await engine.delete(NS, B)
        await house.kv.acknowledge(await house.kv.claim(owner="lost", limit=10, lease=LEASE))
        assert await found(engine, "fox", 5) == [A]
        async with house.open():
            await house.nothing_waits(sweeping=True)
            assert set(await house.points()) == {A}


class TestHealth:
    async def test_it_says_who_indexes(self, house: House, engine: MemoryEngine) -> None:
        assert (await engine.health()).indexing == "evented"
        async with house.open() as inline:
            assert (await inline.health()).indexing == "inline"

    async def test_others_may_take_as_long_as_a_recall_waits(
        self, house: House, engine: MemoryEngine
    ) -> None:
        await engine.store(NS, new(A))
        await house.clock.advance(SETTINGS.index_wait)
        health = await engine.health()
        assert health.ok
        assert health.hint == ""

    async def test_if_they_take_longer_it_says_what_to_see_to(
        self, house: House, engine: MemoryEngine
    ) -> None:
        await engine.store(NS, new(A))
        await house.clock.advance(timedelta(seconds=42))
        hint = (await engine.health()).hint
        assert hint.startswith("1 changes wait to be found by recall, the oldest for 42 s")
        assert "`sfm consumer`" in hint

    async def test_it_is_well_again_when_they_have_followed(
        self, house: House, engine: MemoryEngine
    ) -> None:
        await engine.store(NS, new(A))
        await house.clock.advance(timedelta(seconds=42))
        async with house.open():
            await house.nothing_waits(sweeping=True)
        assert (await engine.health()).hint == ""

    async def test_an_engine_that_indexes_by_itself_gives_no_hint(self, house: House) -> None:
        faults = Faults()
        async with house.open(faults=faults) as inline:
            faults.vector.fail("upsert", times=None)
            await inline.store(NS, new(A))
            await house.sweep(timedelta(minutes=5))
            health = await inline.health()
        assert health.outbox_depth == 1
        assert health.hint == ""


async def test_closing_an_engine_that_writes_does_not_wait_for_those_who_follow(
    house: House,
) -> None:
    async with house.open(EVENTED) as engine:
        await engine.store(NS, new(A))
    assert await house.outbox_depth() == 1
    assert await house.points() == {}
