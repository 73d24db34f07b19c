"""Memories whose time is over are gone at once for readers, and from the store after a sweep."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from engine_house import INTERVAL, NS, House, ask, at, found, new, open_house

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import NotFoundError, VersionConflictError
from sfm_core.model.keys import EXPIRY, KeyRange, expiry_key, memory_key
from sfm_core.protocols.graph import Direction
from sfm_core.protocols.kv import Commit, Write

A, B = at(1), at(2)
TTL = timedelta(seconds=2)


@pytest.fixture
async def engine(house: House) -> AsyncIterator[MemoryEngine]:
    """An engine with a memory whose time is over, which no sweep has seen yet."""
    async with house.open() as opened:
        await opened.store(NS, new(A, "stays for good"))
        await opened.store(NS, new(B, "passing fancy", ttl=TTL))
        await opened.link(NS, A, B)
        await opened.link(NS, B, A)
        await house.clock.advance(TTL)
        yield opened


async def test_the_time_to_live_is_told() -> None:
    async with open_house() as house, house.open() as engine:
        await engine.store(NS, new(A, ttl=TTL))
        assert (await engine.get(NS, A)).expires_at == house.clock.now() + TTL


async def test_a_memory_lives_until_its_last_moment() -> None:
    async with open_house() as house, house.open() as engine:
        await engine.store(NS, new(A, ttl=TTL))
        await house.clock.advance(TTL - timedelta(microseconds=1))
        assert (await engine.get(NS, A)).version == 1
        await house.clock.advance(timedelta(microseconds=1))
        with pytest.raises(NotFoundError):
            await engine.get(NS, A)


async def test_the_expired_are_not_got(engine: MemoryEngine) -> None:
    with pytest.raises(NotFoundError):
        await engine.get(NS, B)
    assert await engine.get_many(NS, [B]) == [None]


async def test_the_expired_are_not_recalled(engine: MemoryEngine) -> None:
    assert await found(engine, "passing fancy") == [A]


async def test_the_expired_are_not_in_a_range(engine: MemoryEngine) -> None:
    assert await engine.range(NS, at(0), at(9)) == [A]


async def test_the_expired_are_nobodys_neighbors(engine: MemoryEngine) -> None:
    for node in (A, B):
        for direction in Direction:
            assert await engine.neighbors(NS, node, direction=direction) == []


async def test_the_expired_are_on_no_path(engine: MemoryEngine) -> None:
    with pytest.raises(NotFoundError):
        await engine.shortest_path(NS, A, B)


async def test_the_expired_may_be_in_derived_stores_until_they_are_swept(
    engine: MemoryEngine,
) -> None:
    report = await engine.check()
    assert report.consistent
    assert (report.memories, report.links) == (1, 0)


async def test_the_expired_are_not_exported(engine: MemoryEngine) -> None:
    lines = [json.loads(line) async for line in engine.export()]
    assert [line["kind"] for line in lines] == ["header", "memory", "footer"]


async def test_the_expired_are_not_linked_or_changed(engine: MemoryEngine) -> None:
    with pytest.raises(NotFoundError):
        await engine.link(NS, A, B)
    with pytest.raises(NotFoundError):
        await engine.set_importance(NS, B, 0.1)
    assert not await engine.delete(NS, B)


async def test_the_expired_count_as_absent_for_writers(engine: MemoryEngine) -> None:
    with pytest.raises(VersionConflictError) as refusal:
        await engine.store(NS, new(B, expected_version=1))
    assert refusal.value.actual == 0
    assert (await engine.store(NS, new(B, "anew", expected_version=0))).version == 2
    assert (await engine.get(NS, B)).expires_at is None


async def test_the_expired_have_not_been_read(engine: MemoryEngine) -> None:
    assert (await engine.access(NS, B)).count == 0


async def test_a_sweep_deletes_the_expired_and_their_links(
    house: House, engine: MemoryEngine
) -> None:
    assert (await engine.stats(NS)).total_memories == 2
    await house.sweep()
    stats = await engine.stats(NS)
    assert (stats.total_memories, stats.links) == (1, 0)
    assert await house.points() == {A: 1}
    assert await house.edges() == set()
    assert await house.kv.scan(NS, [KeyRange.prefix(EXPIRY)], limit=9) == [[]]
    assert (await engine.check()).consistent


async def test_a_sweep_spares_a_memory_that_was_given_more_time(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(A, ttl=TTL))
        await engine.store(NS, new(A, ttl=TTL * 100))
        await engine.store(NS, new(B, ttl=TTL))
        await engine.store(NS, new(B))
        await house.sweep()
        assert await engine.range(NS, at(0), at(9)) == [A, B]


async def test_a_memory_stored_again_while_it_is_swept_lives(house: House) -> None:
    async with house.open() as engine:
        for number in range(10):
            await engine.store(NS, new(A, "old", ttl=TTL))
            storing = asyncio.create_task(_store_after(engine, turns=number * 3))
            await house.clock.advance(INTERVAL)
            await storing
            await house.sweep()
            assert (await engine.get(NS, A)).payload == {"text": "new"}
            assert A in await house.points()


async def _store_after(engine: MemoryEngine, turns: int) -> None:
    for _ in range(turns):
        await asyncio.sleep(0)
    await engine.store(NS, new(A, "new"))


async def test_more_than_a_page_of_expired_memories_is_swept_at_once(house: House) -> None:
    async with house.open() as engine:
        for start in (0, 1000):
            await engine.store_many(NS, [new(at(start + n), "x", ttl=TTL) for n in range(600)])
        await house.sweep()
        assert (await engine.stats(NS)).total_memories == 0
        assert await house.points() == {}


async def test_an_unreadable_memory_does_not_keep_others_from_being_swept(house: House) -> None:
    async with house.open() as engine:
        due = house.clock.now() + TTL
        await house.kv.commit(
            [
                Commit(
                    namespace="broken",
                    writes=(Write(memory_key(A), b"no record"), Write(expiry_key(due, A), b"")),
                )
            ],
            owner="test",
            lease=TTL,
        )
        await engine.store(NS, new(B, ttl=TTL))
        await engine.store("broken", new(B, ttl=TTL))
        await house.sweep()
        assert (await engine.stats(NS)).total_memories == 0
        assert (await engine.stats("broken")).total_memories == 0


async def test_what_expired_is_still_history(house: House, engine: MemoryEngine) -> None:
    await house.sweep()
    assert [m.payload for m in await engine.history(NS, B)] == [{"text": "passing fancy"}]


async def test_the_clock_that_is_set_back_brings_nothing_swept_back(
    house: House, engine: MemoryEngine
) -> None:
    await house.sweep()
    await house.clock.advance(timedelta(days=-1))
    with pytest.raises(NotFoundError):
        await engine.get(NS, B)
    assert [r.memory.coordinate for r in await engine.recall(NS, ask("passing"))] == [A]
