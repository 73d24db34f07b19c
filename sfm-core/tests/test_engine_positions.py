"""Waiting for what a write owes: never over too early, and held up by nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from dataclasses import replace
from datetime import timedelta
from heapq import heappop

import pytest
from engine_house import (
    EVENTED,
    LEASE,
    NS,
    SETTINGS,
    Faults,
    House,
    at,
    found,
    in_time,
    is_reached,
    let_others_work,
    new,
    open_house,
)
from engine_town import Town

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import (
    InvalidPositionError,
)
from sfm_core.model.position import joined, parse_positions
from sfm_core.model.report import Stored
from sfm_core.testing.clock import ManualClock

A, B, C = at(1), at(2), at(3)
PATIENCE = SETTINGS.index_wait


class CrowdClock(ManualClock):
    """Wakes those together who have slept until the same moment, as an event loop does."""

    async def advance(self, by: timedelta) -> None:
        target = self._passed + by
        while self._waiting and self._waiting[0][0] <= target:
            self._passed = self._waiting[0][0]
            while self._waiting and self._waiting[0][0] <= self._passed:
                _, _, waiter = heappop(self._waiting)
                if not waiter.done():
                    waiter.set_result(None)
            await let_others_work()
        self._passed = target


class CrowdedHouse(House):
    def __init__(self) -> None:
        super().__init__()
        self.clock = CrowdClock()


@pytest.fixture
def faults() -> Faults:
    """Faults of the engine that is asked."""
    return Faults()


@pytest.fixture
async def engine(house: House, faults: Faults) -> AsyncIterator[MemoryEngine]:
    async with house.open(EVENTED, faults=faults) as made:
        yield made


class TestInline:
    async def test_a_write_that_is_indexed_owes_nothing(self, house: House) -> None:
        faults = Faults()
        async with house.open(faults=faults) as engine:
            stored = await engine.store(NS, new(A))
            linked = await engine.link(NS, A, A)
            gone = await engine.unlink(NS, A, A)
            deleted = await engine.delete_many(NS, [A, B])
            assert linked.position is not None
            owed = [stored.position, linked.position, gone.position, deleted.position]
            assert [one.notes for one in owed] == [()] * 4
            assert await engine.wait_for(*owed)
        assert faults.kv.calls["outstanding"] == 0

    async def test_a_write_that_changes_nothing_owes_nothing(self, house: House) -> None:
        async with house.open() as engine:
            assert (await engine.delete(NS, A)).position.notes == ()
            assert (await engine.unlink(NS, A, B)).position.notes == ()

    async def test_a_write_whose_index_is_down_is_waited_for(self, house: House) -> None:
        faults = Faults()
        async with house.open(faults=faults) as engine:
            faults.vector.fail("upsert", times=None)
            stored = await engine.store(NS, new(A, "a whale"))
            assert not stored.indexed
            assert not await is_reached(house, engine, stored.position)
            faults.clear()
            assert await is_reached(house, engine, stored.position)
            assert await found(engine, "whale") == [A]

    async def test_what_other_engines_cannot_search_yet_is_owed_still(self, house: House) -> None:
        async with (
            house.open(installed=["memory"]) as old,
            house.open(embedder="small", settled=False) as newer,
        ):
            await house.sweep()
            stored = await old.store(NS, new(A, "a whale"))
            assert stored.indexed
            assert len(stored.position.notes) == 1
            await house.settle(newer)
            await house.nothing_waits(sweeping=True)
            assert await newer.wait_for(stored.position)
            assert await found(newer, "whale") == [A]


class TestFollowing:
    async def test_it_is_reached_when_another_engine_has_followed(
        self, house: House, engine: MemoryEngine
    ) -> None:
        stored = await engine.store(NS, new(A, "a whale"))
        async with house.open():
            assert await is_reached(house, engine, stored.position)
            assert await found(engine, "whale") == [A]

    async def test_without_anybody_to_follow_it_is_told_in_time_that_it_is_not(
        self, house: House, engine: MemoryEngine
    ) -> None:
        stored = await engine.store(NS, new(A))
        began = house.clock.monotonic()
        assert not await is_reached(house, engine, stored.position)
        took = timedelta(seconds=house.clock.monotonic() - began)
        assert PATIENCE <= took <= PATIENCE + timedelta(seconds=0.2)

    async def test_waiting_is_not_asking_all_the_time(
        self, house: House, engine: MemoryEngine, faults: Faults
    ) -> None:
        stored = await engine.store(NS, new(A))
        await is_reached(house, engine, stored.position)
        assert faults.kv.calls["outstanding"] < 60

    async def test_many_who_wait_share_the_asking(self) -> None:
        house, faults = CrowdedHouse(), Faults()
        async with house.kv, house.vector, house.open(EVENTED, faults=faults) as engine:
            waiting: list[Awaitable[bool]] = []
            for number in range(64):
                stored = await engine.store(NS, new(at(number)))
                waiting.append(asyncio.create_task(engine.wait_for(stored.position)))
                await house.clock.advance(timedelta(milliseconds=7))
            assert not any(await in_time(house, asyncio.gather(*waiting)))
        assert faults.kv.calls["outstanding"] < 64 * 2 + 60

    async def test_other_engines_can_be_asked_and_so_can_who_comes_later(
        self, house: House, engine: MemoryEngine
    ) -> None:
        stored = await engine.store(NS, new(A))
        [position] = parse_positions(str(stored.position))
        async with house.open(EVENTED) as other:
            assert not await is_reached(house, other, position)
            async with house.open() as follower:
                assert await is_reached(house, other, position)
                assert await follower.wait_for(position)

    async def test_every_kind_of_write_is_waited_for(
        self, house: House, engine: MemoryEngine
    ) -> None:
        async with house.open() as follower:
            stored = [
                one.position
                for one in await engine.store_many(NS, [new(A), new(B), new(C)])
                if isinstance(one, Stored)
            ]
            remembered = await engine.remember(NS, {"text": "a whale"})
            assert await is_reached(house, engine, *stored, remembered.position)
            assert len(await found(engine, "thing")) == 4

            linked = await engine.link(NS, A, B)
            assert linked.position is not None
            assert await is_reached(house, engine, linked.position)
            assert await engine.neighbors(NS, A) == [linked]
            assert await engine.shortest_path(NS, A, B) == [A, B]

            weighed = await engine.set_importance(NS, A, 0.9)
            assert await is_reached(house, engine, weighed.position)
            assert (await house.points())[A] == 2

            gone = await engine.unlink(NS, A, B)
            assert await is_reached(house, engine, gone.position)
            assert await house.edges() == set()

            await engine.link(NS, B, C)
            deleted = await engine.delete(NS, C)
            assert await is_reached(house, engine, deleted.position)
            assert C not in await house.points()
            assert await house.edges() == set()

            many = await engine.delete_many(NS, [A, B, C])
            assert (many.count, len(many.position.notes)) == (2, 2)
            assert await is_reached(house, engine, many.position)
            assert (await follower.check()).consistent

    async def test_a_bulk_is_one_short_position(self, house: House, engine: MemoryEngine) -> None:
        stored = await engine.store_many(NS, [new(at(n)) for n in range(1000)])
        text = joined(one.position for one in stored if isinstance(one, Stored))
        assert len(text) < 40
        [position] = parse_positions(text)
        assert not await is_reached(house, engine, position)
        async with house.open():
            assert await is_reached(house, engine, position)
            assert len(await house.points()) == 1000

    async def test_one_of_a_bulk_that_is_left_counts(
        self, house: House, engine: MemoryEngine
    ) -> None:
        stored = await engine.store_many(NS, [new(at(n)) for n in range(1000)])
        [position] = parse_positions(joined(s.position for s in stored if isinstance(s, Stored)))
        notes = await house.kv.claim(owner="another", limit=1000, lease=LEASE)
        await house.kv.acknowledge([note for note in notes if note.id != position.notes[700]])
        assert not await is_reached(house, engine, position)


class TestForeign:
    async def test_a_position_of_another_truth_is_refused(self, engine: MemoryEngine) -> None:
        async with open_house() as elsewhere, elsewhere.open() as other:
            stored = await other.store(NS, new(A))
        with pytest.raises(InvalidPositionError) as refused:
            await engine.wait_for(stored.position)
        assert refused.value.field == "min_position"

    @pytest.mark.parametrize("text", ["🐋.1", "x.1.1", ".1", "a.99999"])
    async def test_a_made_up_truth_is_refused(self, engine: MemoryEngine, text: str) -> None:
        with pytest.raises(InvalidPositionError):
            await engine.wait_for(*parse_positions(text))

    async def test_a_position_that_this_truth_cannot_have_given_is_refused(
        self, engine: MemoryEngine
    ) -> None:
        stored = await engine.store(NS, new(A))
        with pytest.raises(InvalidPositionError, match="newer than the truth"):
            await engine.wait_for(replace(stored.position, epoch=stored.position.epoch + 1))

    async def test_notes_that_there_never_were_owe_nothing(self, engine: MemoryEngine) -> None:
        stored = await engine.store(NS, new(A))
        made_up = replace(stored.position, notes=("999999", "none", "-1"))
        assert await engine.wait_for(made_up)

    async def test_after_a_change_of_the_truth_old_positions_hold(self) -> None:
        town = Town()
        async with town.server("a", last="a") as engine:
            stored = await engine.store(NS, new(A, "a whale"))
        async with town.server("b", last="a") as engine:
            assert await engine.wait_for(stored.position)
            assert await found(engine, "whale") == [A]
            newer = await engine.store(NS, new(B))
            assert await engine.wait_for(stored.position, newer.position)

    async def test_positions_of_what_came_after_the_change_are_not_known(self) -> None:
        town = Town()
        async with town.server("a", last="a") as engine:
            stored = await engine.store(NS, new(A, "a whale"))
        async with town.server("b", last="a") as engine:
            later = replace(stored.position, epoch=stored.position.epoch + 1)
            with pytest.raises(InvalidPositionError):
                await engine.wait_for(later)
