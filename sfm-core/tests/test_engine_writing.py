"""Storing, replacing, deleting: versions, history and expectations."""

from __future__ import annotations

import asyncio
import math
from dataclasses import replace

import pytest
from engine_house import NS, PATIENCE, SETTINGS, Faults, House, at, new, turns_of_others

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import (
    InvalidPayloadError,
    NotFoundError,
    SfmError,
    VersionConflictError,
)
from sfm_core.model.memory import MemoryType
from sfm_core.model.report import Stored

HERE = at(1, 2)


async def test_a_stored_memory_is_read_back_as_it_was(house: House) -> None:
    async with house.open() as engine:
        stored = await engine.store(NS, new(HERE, "x", type=MemoryType.SEMANTIC, importance=0.75))
        memory = await engine.get(NS, HERE)
    assert stored == Stored(
        coordinate=HERE,
        version=1,
        indexed=True,
        position=stored.position,
        revision=memory.revision,
    )
    assert memory.payload == {"text": "x"}
    assert (memory.type, memory.importance) == (MemoryType.SEMANTIC, 0.75)
    assert memory.created_at == memory.updated_at == house.clock.now()


async def test_each_write_is_the_next_version_and_creation_stays(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HERE, "one"))
        first = await engine.get(NS, HERE)
        await house.sweep()
        assert (await engine.store(NS, new(HERE, "two"))).version == 2
        second = await engine.get(NS, HERE)
    assert second.created_at == first.created_at
    assert second.updated_at == house.clock.now()


async def test_versions_keep_growing_after_deletion_and_creation_is_new(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HERE))
        assert await engine.delete(NS, HERE)
        await house.sweep()
        assert (await engine.store(NS, new(HERE))).version == 3
        assert (await engine.get(NS, HERE)).created_at == house.clock.now()


async def test_deleting_twice_tells_that_there_was_nothing_left(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HERE))
        assert await engine.delete(NS, HERE)
        assert not await engine.delete(NS, HERE)
        with pytest.raises(NotFoundError):
            await engine.get(NS, HERE)


async def test_many_refusals_one_after_the_other_all_come_back(house: House) -> None:
    async with house.open() as engine, asyncio.timeout(PATIENCE):
        for _ in range(20):
            assert not await engine.delete(NS, HERE)


async def test_concurrent_callers_in_a_chain_of_refusals_all_come_back(house: House) -> None:
    async def chain(engine: MemoryEngine) -> None:
        for _ in range(20):
            await engine.delete(NS, HERE)

    async with house.open() as engine, asyncio.timeout(PATIENCE):
        await asyncio.gather(*(chain(engine) for _ in range(5)))


async def test_importance_that_is_not_given_stays(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HERE, importance=0.9))
        await engine.store(NS, new(HERE, "again"))
        assert (await engine.get(NS, HERE)).importance == 0.9
        await engine.delete(NS, HERE)
        await engine.store(NS, new(HERE, "anew"))
        assert (await engine.get(NS, HERE)).importance == 0.5


async def test_setting_importance_changes_nothing_else(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HERE, "x", type=MemoryType.SEMANTIC))
        before = await engine.get(NS, HERE)
        assert (await engine.set_importance(NS, HERE, 1.0)).version == 2
        after = await engine.get(NS, HERE)
    assert after == replace(before, importance=1.0, version=2)


async def test_setting_importance_of_nothing_is_not_found(house: House) -> None:
    async with house.open() as engine:
        with pytest.raises(NotFoundError):
            await engine.set_importance(NS, HERE, 1.0)


async def test_setting_importance_of_another_version_is_refused(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HERE))
        with pytest.raises(VersionConflictError) as refusal:
            await engine.set_importance(NS, HERE, 1.0, expected_version=2)
    assert (refusal.value.expected, refusal.value.actual) == (2, 1)


async def test_history_is_newest_first_and_the_current_version_leads(house: House) -> None:
    async with house.open() as engine:
        for text in "abc":
            await engine.store(NS, new(HERE, text))
        kept = await engine.history(NS, HERE)
        assert [(m.version, m.payload["text"]) for m in kept] == [(3, "c"), (2, "b"), (1, "a")]
        assert [m.version for m in await engine.history(NS, HERE, limit=2)] == [3, 2]


async def test_history_survives_deletion(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HERE, "a"))
        await engine.delete(NS, HERE)
        assert [m.payload["text"] for m in await engine.history(NS, HERE)] == ["a"]


async def test_history_of_nothing_is_not_found(house: House) -> None:
    async with house.open() as engine:
        with pytest.raises(NotFoundError):
            await engine.history(NS, HERE)


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_no_more_versions_are_kept_than_the_limit_says(house: House, limit: int) -> None:
    async with house.open(replace(SETTINGS, history_limit=limit)) as engine:
        for number in range(6):
            await engine.store(NS, new(HERE, str(number)))
        kept = await engine.history(NS, HERE)
    assert [m.version for m in kept] == list(range(6, 6 - limit - 1, -1))


@pytest.mark.parametrize("limit", [0, 1, 2, 3])
async def test_no_more_versions_are_kept_when_memories_come_and_go(
    house: House, limit: int
) -> None:
    async with house.open(replace(SETTINGS, history_limit=limit)) as engine:
        for number in range(6):
            await engine.store(NS, new(HERE, str(number)))
            await engine.delete(NS, HERE)
        await engine.store(NS, new(HERE, "last"))
        assert 1 <= len(await engine.history(NS, HERE)) <= 1 + limit


async def test_a_memory_that_is_expected_to_be_absent_is_not_replaced(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HERE, "first"))
        with pytest.raises(VersionConflictError) as refusal:
            await engine.store(NS, new(HERE, "second", expected_version=0))
        assert (await engine.get(NS, HERE)).payload == {"text": "first"}
    assert (refusal.value.expected, refusal.value.actual) == (0, 1)


async def test_a_deleted_memory_counts_as_absent(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HERE))
        await engine.delete(NS, HERE)
        with pytest.raises(VersionConflictError):
            await engine.store(NS, new(HERE, expected_version=2))
        assert (await engine.store(NS, new(HERE, expected_version=0))).version == 3


async def test_deletion_of_another_version_is_refused(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HERE))
        await engine.store(NS, new(HERE))
        with pytest.raises(VersionConflictError):
            await engine.delete(NS, HERE, expected_version=1)
        assert await engine.delete(NS, HERE, expected_version=2)


async def test_store_many_answers_one_by_one_in_order(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(at(1)))
        results = await engine.store_many(
            NS, [new(at(0)), new(at(1), expected_version=0), new(at(2)), new(at(2))]
        )
    assert [r.version if isinstance(r, Stored) else type(r) for r in results] == [
        1,
        VersionConflictError,
        1,
        2,
    ]


async def test_store_many_costs_few_commits(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        faults.kv.calls.clear()
        await engine.store_many(NS, [new(at(n)) for n in range(1000)])
        assert faults.kv.calls["commit"] <= 2


async def test_store_many_of_nothing_is_nothing(house: House) -> None:
    async with house.open() as engine:
        assert await engine.store_many(NS, []) == []
        assert (await engine.delete_many(NS, [])).count == 0
        assert await engine.get_many(NS, []) == []


async def test_store_many_with_one_bad_value_stores_nothing_and_names_it(house: House) -> None:
    async with house.open() as engine:
        with pytest.raises(SfmError) as refusal:
            await engine.store_many(
                NS, [new(at(0)), replace(new(at(1)), payload={"n": float("nan")})]
            )
        assert getattr(refusal.value, "field", "") == "items[1].payload.n"
        assert (await engine.stats(NS)).total_memories == 0


async def test_delete_many_counts_what_was_there(house: House) -> None:
    async with house.open() as engine:
        await engine.store_many(NS, [new(at(n)) for n in range(5)])
        assert (await engine.delete_many(NS, [at(n) for n in (3, 4, 5, 4)])).count == 2
        assert await engine.range(NS, at(0), at(9)) == [at(0), at(1), at(2)]
        assert set(await house.points()) == {at(0), at(1), at(2)}


async def test_deleting_a_thousand_at_once_leaves_no_point(house: House) -> None:
    async with house.open() as engine:
        everywhere = [at(n) for n in range(1000)]
        await engine.store_many(NS, [new(c, "x") for c in everywhere])
        assert (await engine.delete_many(NS, everywhere)).count == 1000
        assert await house.points() == {}
        await house.nothing_waits()


async def test_get_many_keeps_order_and_gaps(house: House) -> None:
    async with house.open() as engine:
        await engine.store_many(NS, [new(at(n), str(n)) for n in range(3)])
        got = await engine.get_many(NS, [at(2), at(7), at(0), at(2)])
    assert [m and m.payload["text"] for m in got] == ["2", None, "0", "2"]


async def test_remembered_coordinates_are_unique_and_ascend_though_time_stands_still(
    house: House,
) -> None:
    async with house.open() as engine:
        given = [(await engine.remember(NS, {"n": n})).coordinate for n in range(50)]
        assert given == sorted(set(given))
        together = await asyncio.gather(*(engine.remember(NS, {"n": n}) for n in range(64)))
        assert len({stored.coordinate for stored in together} | set(given)) == 114


async def test_stats_count_by_type_and_follow_changes_of_type(house: House) -> None:
    async with house.open() as engine:
        await engine.store_many(NS, [new(at(n)) for n in range(3)])
        await engine.store(NS, new(at(0), type=MemoryType.SEMANTIC))
        await engine.delete(NS, at(1))
        stats = await engine.stats(NS)
        assert (stats.total_memories, stats.episodic, stats.semantic) == (2, 1, 1)
        assert (await engine.stats("never")).total_memories == 0


async def test_namespaces_are_listed_in_order_and_keep_apart(house: House) -> None:
    async with house.open() as engine:
        for name in ("b", "a", "a b", "é"):
            await engine.store(name, new(HERE, name))
        assert await engine.namespaces() == ["a", "a b", "b", "é"]
        await engine.delete("a", HERE)
        assert (await engine.get("a b", HERE)).payload == {"text": "a b"}


async def test_others_have_their_turn_while_many_values_are_checked(engine: MemoryEngine) -> None:
    wide = replace(new(at(1)), payload={"numbers": [1] * 100_000})
    bad = replace(new(at(2)), payload={"number": math.nan})
    async with turns_of_others() as turns:
        # It is refused for its last item, so that nothing but the check can have waited.
        with pytest.raises(InvalidPayloadError):
            await engine.store_many(NS, [*[wide] * 10, bad])
    assert turns.taken >= 5
