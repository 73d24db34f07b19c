"""Purging: content is gone from every store, for good, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from engine_house import NS, PATIENCE, SETTINGS, Faults, House, at, eventually, found, in_time, new

from sfm_core.engine.memory_commit import PURGE_PAUSE
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.walking import entries_of
from sfm_core.errors import (
    HistoryGoneError,
    LimitExceededError,
    NotFoundError,
    VersionConflictError,
)
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.keys import PURGE, KeyRange, history_key, memory_key
from sfm_core.model.memory import Episode, MemoryType
from sfm_core.model.patch import MemoryPatch
from sfm_core.model.purge import PurgeState
from sfm_core.model.record import decode_memory
from sfm_core.protocols.kv import Commit, Write
from sfm_core.protocols.vector import Point, PointId

HERE, NEXT = at(1), at(2)
CANARY = "xylocarpous"
IMPATIENT = replace(SETTINGS, index_wait=timedelta())


async def left_in_truth(house: House, canary: str = CANARY) -> list[bytes]:
    """Return the keys of entries that have a word in key or value."""
    word = canary.encode()
    return [key async for key, entry in entries_of(house.kv, NS) if word in key + entry.value]


async def marks(house: House) -> int:
    [page] = await house.kv.scan(NS, [KeyRange.prefix(PURGE)], limit=100)
    return len(page)


async def store_versions(engine: MemoryEngine) -> None:
    for number in range(3):
        await engine.store(NS, new(HERE, f"{CANARY} {number}"))


async def at_last(engine: MemoryEngine) -> set[str]:
    """Ask for a report until nothing is pending, and return which stores it is about."""
    async with asyncio.timeout(PATIENCE):
        while (again := await engine.purge(NS, HERE)).pending:  # noqa: ASYNC110 - nobody is told
            await asyncio.sleep(0)
    return {one.store for one in again.stores}


async def old_point_comes_late(house: House) -> None:
    """Write what a call that timed out before the purge would have written."""
    vector = np.zeros(house.collection.dimension, np.float32)
    vector[0] = 1.0
    late = Point(
        id=PointId(namespace=NS, coordinate=HERE),
        version=1,
        type=MemoryType.EPISODIC,
        payload={"text": CANARY},
        vector=vector,
        terms={CANARY: 1.0},
    )
    await house.vector.upsert(house.collection, [late])


class TestWhatIsGone:
    async def test_the_memory_and_every_version_before_it(
        self, house: House, engine: MemoryEngine
    ) -> None:
        await store_versions(engine)
        assert (await engine.purge(NS, HERE)).count == 1
        assert await left_in_truth(house) == []
        with pytest.raises(NotFoundError):
            await engine.history(NS, HERE)
        assert HERE not in await house.points()
        with pytest.raises(NotFoundError):
            await engine.get(NS, HERE)

    async def test_the_history_of_one_that_was_deleted_before(
        self, house: House, engine: MemoryEngine
    ) -> None:
        await store_versions(engine)
        await engine.delete(NS, HERE)
        assert await left_in_truth(house)
        assert (await engine.purge(NS, HERE)).count == 1
        assert await left_in_truth(house) == []

    async def test_history_beyond_what_is_kept_by_now(self, house: House) -> None:
        async with house.open() as engine:
            await store_versions(engine)
        async with house.open(replace(SETTINGS, history_limit=0)) as engine:
            await engine.purge(NS, HERE)
        assert await left_in_truth(house) == []

    async def test_the_name_of_its_episode_also_where_an_answer_was_kept(
        self, house: House, engine: MemoryEngine
    ) -> None:
        where = Episode(name=CANARY, order=1.0)
        await engine.store(NS, new(HERE, "a", episode=where))
        key = IdempotencyKey("moved")
        await engine.update(NS, HERE, MemoryPatch(episode=None), idempotency_key=key)
        await engine.store(NS, new(HERE, "a", episode=where))
        await engine.purge(NS, HERE)
        assert await left_in_truth(house) == []

    async def test_the_words_that_it_lent_to_those_after_it(self, engine: MemoryEngine) -> None:
        for number, text in enumerate((CANARY, "something else")):
            turn = {"speaker": "A", "text": text}
            episode = Episode(name="e", order=float(number))
            await engine.store(NS, replace(new(at(number), episode=episode), payload=turn))
        await engine.purge(NS, at(0))
        assert await found(engine, CANARY, arms=frozenset({"keyword"})) == []

    async def test_many_at_once(self, house: House, engine: MemoryEngine) -> None:
        await engine.store_many(NS, [new(HERE, CANARY), new(NEXT, CANARY)])
        assert (await engine.purge_many(NS, [HERE, NEXT, at(3), HERE])).count == 2
        assert await left_in_truth(house) == []

    async def test_points_in_collections_that_are_only_kept(self, house: House) -> None:
        async with house.open() as engine:
            await engine.store(NS, new(HERE, CANARY))
        async with house.open(embedder="small") as engine:
            await engine.purge(NS, HERE)
        kept = await house.vector.collections()
        assert len(kept) == 2
        assert [await house.points(collection=one) for one in kept] == [{}, {}]


class TestWhatStays:
    async def test_versions_go_on_and_each_says_what_was_purged(
        self, house: House, engine: MemoryEngine
    ) -> None:
        await store_versions(engine)
        await engine.purge(NS, HERE)
        assert (await engine.store(NS, new(HERE, "new"))).version == 5
        await engine.set_importance(NS, HERE, 1.0)
        [entry] = await house.kv.get_many(NS, [memory_key(HERE)])
        assert entry is not None
        assert decode_memory(entry.value).purged == 4
        assert [one.version for one in await engine.history(NS, HERE)] == [6, 5]

    async def test_the_past_is_said_to_be_gone(self, house: House, engine: MemoryEngine) -> None:
        await store_versions(engine)
        then = house.clock.now()
        await house.sweep()
        await engine.purge(NS, HERE)
        with pytest.raises(HistoryGoneError):
            await engine.get(NS, HERE, as_of=then)

    async def test_one_that_is_stored_again_is_found_and_its_old_point_is_not(
        self, house: House, engine: MemoryEngine
    ) -> None:
        await engine.store(NS, new(HERE, CANARY))
        await engine.purge(NS, HERE)
        await engine.store(NS, new(HERE, "another thing"))
        await house.sweep(PURGE_PAUSE)
        assert await found(engine, "another thing") == [HERE]
        assert await house.points() == {HERE: 3}


class TestTheReport:
    async def test_names_every_store_and_what_cannot_be_reached(
        self, house: House, engine: MemoryEngine
    ) -> None:
        await engine.store(NS, new(HERE, CANARY))
        purged = await engine.purge(NS, HERE)
        states = {one.store: one.state for one in purged.stores}
        assert states == dict.fromkeys(
            ("truth", "vectors", "graph", "cache"), PurgeState.REMOVED
        ) | dict.fromkeys(("replicas", "earlier_truths", "exports", "backups"), PurgeState.REMAINS)
        assert not purged.pending
        assert purged.again_at == house.clock.now() + PURGE_PAUSE

    async def test_can_be_asked_for_again_and_nothing_is_written(
        self, engine: MemoryEngine
    ) -> None:
        await engine.store(NS, new(HERE, CANARY))
        await engine.purge(NS, HERE)
        again = await engine.purge(NS, HERE)
        assert (again.count, again.pending) == (0, False)
        assert (await engine.store(NS, new(HERE))).version == 3

    async def test_of_nothing_is_a_report_too(self, engine: MemoryEngine) -> None:
        assert (await engine.purge(NS, HERE)).count == 0

    async def test_says_what_waits_for_a_store_that_is_down(self, house: House) -> None:
        faults = Faults()
        async with house.open(faults=faults) as engine:
            await engine.store(NS, new(HERE, CANARY))
            faults.vector.fail("delete", times=None)
            purged = await in_time(house, engine.purge(NS, HERE))
            states = {one.store: one.state for one in purged.stores}
            assert states["vectors"] is PurgeState.PENDING
            assert states["truth"] is PurgeState.REMOVED
            assert await left_in_truth(house) == []
            faults.clear()

    async def test_does_not_wait_for_longer_than_for_an_index(self, house: House) -> None:
        async with house.open(IMPATIENT) as engine:
            await store_versions(engine)
            purged = await engine.purge(NS, HERE)
            assert purged.pending
            assert await left_in_truth(house) == []
            await house.sweep(PURGE_PAUSE)

            async def no_point_is_left() -> bool:
                return HERE not in await house.points()

            # The index of what was stored may come later still, and is then put right.
            await eventually(no_point_is_left)

    async def test_that_came_too_late_is_given_to_who_asks_again(self, house: House) -> None:
        async with house.open(IMPATIENT) as engine:
            await engine.store(NS, new(HERE, CANARY))
            await engine.purge(NS, HERE)
            assert "vectors" in await at_last(engine)

    @pytest.mark.parametrize("asking", [1, 2])
    async def test_that_came_too_late_is_given_to_all_who_ask_meanwhile(
        self, house: House, asking: int
    ) -> None:
        faults = Faults()
        gate = faults.vector.hold("scrub")
        async with house.open(IMPATIENT, faults=faults) as engine:
            await engine.purge(NS, HERE)
            await gate.reached()
            await asyncio.gather(*(engine.purge(NS, HERE) for _ in range(asking)))
            gate.open()
            await at_last(engine)
        assert faults.vector.calls["scrub"] == 1

    async def test_whose_caller_has_gone_is_given_to_who_asks_again(self, house: House) -> None:
        faults = Faults()
        gate = faults.vector.hold("scrub")
        async with house.open(faults=faults) as engine:
            gone = asyncio.create_task(engine.purge(NS, HERE))
            await gate.reached()
            gone.cancel()
            await asyncio.wait([gone])
            gate.open()
            await engine.purge(NS, HERE)
        assert faults.vector.calls["scrub"] == 1

    async def test_that_came_too_late_is_not_given_for_a_later_purge(self, house: House) -> None:
        async with house.open(IMPATIENT) as engine, house.open() as other:
            await engine.store(NS, new(HERE, CANARY))
            await engine.purge(NS, HERE)
            await house.sweep(PURGE_PAUSE)
            await other.store(NS, new(HERE, CANARY))
            await other.purge(NS, HERE)
            await old_point_comes_late(house)
            await at_last(engine)
            assert await house.points() == {}


class TestWhateverHappens:
    async def test_a_refused_purge_changes_nothing(
        self, house: House, engine: MemoryEngine
    ) -> None:
        await store_versions(engine)
        with pytest.raises(VersionConflictError):
            await engine.purge(NS, HERE, expected_version=1)
        assert (await engine.get(NS, HERE)).version == 3
        assert await marks(house) == 0

    async def test_one_too_many_is_refused(self, engine: MemoryEngine) -> None:
        with pytest.raises(LimitExceededError):
            await engine.purge_many(NS, [at(n) for n in range(1001)])

    async def test_with_an_idempotency_key_it_happens_once(self, engine: MemoryEngine) -> None:
        key = IdempotencyKey("once")
        await engine.store(NS, new(HERE, CANARY))
        first = await engine.purge(NS, HERE, idempotency_key=key)
        await engine.store(NS, new(HERE, "new"))
        again = await engine.purge(NS, HERE, idempotency_key=key)
        assert (first.count, again.count) == (1, 1)
        assert (await engine.get(NS, HERE)).payload == {"text": "new"}

    async def test_a_point_that_comes_late_is_gone_after_the_second_round(
        self, house: House, engine: MemoryEngine
    ) -> None:
        await engine.store(NS, new(HERE, CANARY))
        await engine.purge(NS, HERE)
        await old_point_comes_late(house)
        assert HERE in await house.points()
        await house.sweep(PURGE_PAUSE)
        assert await house.points() == {}
        assert await marks(house) == 0

    async def test_a_collection_that_comes_to_be_kept_current_meanwhile_loses_nothing(
        self, house: House
    ) -> None:
        async with house.open() as engine:
            await engine.store(NS, new(HERE, CANARY))
        [kept] = await house.vector.collections()
        faults = Faults()
        async with house.open(embedder="small", faults=faults) as engine:
            # Two let go in the collection that is searched, for the note and for the purge.
            gate = faults.vector.hold("delete", nth=3)
            purging = asyncio.create_task(engine.purge(NS, HERE))
            await gate.reached()
            async with house.open() as other:
                await other.store(NS, new(HERE, "another thing"))
            assert await house.points(collection=kept) == {HERE: 3}
            gate.open()
            await purging
            assert await house.points(collection=kept) == {HERE: 3}

    async def test_another_process_finishes_what_one_had_only_committed(self, house: House) -> None:
        async with house.open() as engine:
            await store_versions(engine)
            await engine.purge(NS, HERE)
        # As if it had died before it went over the stores.
        late = Write(history_key(HERE, 1), CANARY.encode(), 1)
        await house.kv.commit(
            [Commit(namespace=NS, writes=(late,))], owner="dead", lease=PURGE_PAUSE
        )
        await old_point_comes_late(house)
        async with house.open():
            await house.sweep(PURGE_PAUSE)
            assert await house.points() == {}
            assert await left_in_truth(house) == []
            assert await marks(house) == 0

    async def test_a_store_that_is_back_is_gone_over(self, house: House) -> None:
        faults = Faults()
        async with house.open(faults=faults) as engine:
            await engine.store(NS, new(HERE, CANARY))
            faults.vector.fail("delete", times=None)
            await in_time(house, engine.purge(NS, HERE))
            await house.sweep(PURGE_PAUSE)
            assert HERE in await house.points()
            assert await marks(house) == 1
            faults.clear()
            await house.sweep(PURGE_PAUSE)
            assert await house.points() == {}
            assert await marks(house) == 0
