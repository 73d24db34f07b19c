"""Concurrent writers share commits, and each of them gets all or nothing."""

from __future__ import annotations

import asyncio

import pytest
from engine_house import LEASE, NS, Faults, House, at, eventually, new

from sfm_core.errors import (
    BackendUnavailableError,
    NotFoundError,
    StorageFullError,
    VersionConflictError,
)
from sfm_core.model.memory import MemoryType
from sfm_core.model.report import Stored

HERE = at(1, 2)


@pytest.mark.parametrize("expected", [0, 1])
async def test_of_64_writers_that_expect_the_same_version_one_wins(
    house: House, expected: int
) -> None:
    async with house.open() as one, house.open() as other:
        if expected:
            await one.store(NS, new(HERE))
        results = await asyncio.gather(
            *(
                engine.store(NS, new(HERE, str(number), expected_version=expected))
                for number in range(32)
                for engine in (one, other)
            ),
            return_exceptions=True,
        )
        won = [result for result in results if isinstance(result, Stored)]
        lost = [result for result in results if isinstance(result, VersionConflictError)]
        assert (len(won), len(lost)) == (1, 63)
        assert all(error.actual == expected + 1 for error in lost)
        assert (await one.get(NS, HERE)).version == won[0].version == expected + 1


async def test_64_writers_of_one_memory_make_64_versions(house: House) -> None:
    async with house.open() as one, house.open() as other:
        results = await asyncio.gather(
            *(e.store(NS, new(HERE, str(n))) for n in range(32) for e in (one, other))
        )
        assert sorted(result.version for result in results) == list(range(1, 65))

        async def the_last_is_found() -> bool:
            return (await house.points())[HERE] == 64

        # An engine that comes late may write an older point; the last look, after the answer,
        # sees to that.
        await eventually(the_last_is_found)


async def test_concurrent_writers_share_commits(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        faults.kv.calls.clear()
        await asyncio.gather(*(engine.store(NS, new(at(n))) for n in range(200)))
        assert faults.kv.calls["commit"] <= 4


async def test_a_memory_that_was_there_costs_the_writers_of_its_group_one_more_round(
    house: House,
) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine, house.open() as other:
        await other.store(NS, new(at(7), "there"))
        faults.kv.calls.clear()
        stored = await asyncio.gather(*(engine.store(NS, new(at(n), "new")) for n in range(20)))
        assert [each.version for each in stored] == [1] * 7 + [2] + [1] * 12
        assert faults.kv.calls["commit"] == 2
        assert (await engine.stats(NS)).total_memories == 20


async def test_one_refused_writer_of_a_group_leaves_the_others_alone(house: House) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HERE))
        results = await asyncio.gather(
            engine.store(NS, new(at(1), "a")),
            engine.store(NS, new(HERE, "b", expected_version=7)),
            engine.store(NS, new(at(2), "c")),
            return_exceptions=True,
        )
        assert [type(result) for result in results] == [Stored, VersionConflictError, Stored]
        assert len(await engine.range(NS, at(0), at(9))) == 2


async def test_a_refusal_counts_commits_of_its_own_group(house: House) -> None:
    async with house.open() as engine:
        results = await asyncio.gather(
            engine.store(NS, new(HERE, "first", expected_version=0)),
            engine.store(NS, new(HERE, "second", expected_version=0)),
            engine.store(NS, new(HERE, "third", expected_version=1)),
            return_exceptions=True,
        )
        assert isinstance(results[0], Stored)
        assert isinstance(results[1], VersionConflictError)
        assert isinstance(results[2], Stored)
        assert (await engine.get(NS, HERE)).payload == {"text": "third"}


async def test_a_refusal_never_rests_on_a_write_that_did_not_happen(house: House) -> None:
    # The first writer guesses that nothing is there and is wrong; on that guess the
    # second one, who expects version 2, must not be refused.
    async with house.open() as engine, house.open() as other:
        await other.store(NS, new(HERE, "before"))
        await other.store(NS, new(HERE, "before"))
        first, second = await asyncio.gather(
            engine.store(NS, new(HERE, "blind", expected_version=0)),
            engine.store(NS, new(HERE, "sure", expected_version=2)),
            return_exceptions=True,
        )
        assert isinstance(first, VersionConflictError)
        assert first.actual == 2
        assert isinstance(second, Stored)


async def test_a_write_never_rests_on_an_earlier_one_of_its_group_that_did_not_happen(
    house: House,
) -> None:
    # "mine" is planned as version 1, which another process has given to "theirs"; what is
    # planned on top of it expects version 1 too, and must not take it for that of "mine".
    async with house.open() as engine, house.open() as other:
        await other.store(NS, new(HERE, "theirs", type=MemoryType.SEMANTIC))
        await asyncio.gather(
            engine.store(NS, new(HERE, "mine")), engine.store(NS, new(HERE, "later"))
        )
        kept = [m.payload["text"] for m in await engine.history(NS, HERE)]
        assert kept == ["later", "mine", "theirs"]
        stats = await engine.stats(NS)
        assert (stats.episodic, stats.semantic) == (1, 0)


async def test_writes_that_rest_on_several_others_of_their_group_happen_with_them(
    house: House,
) -> None:
    a, b, c = at(1), at(2), at(3)
    async with house.open() as engine:
        busy = asyncio.create_task(engine.store(NS, new(at(0))))
        await asyncio.sleep(0)
        stores = [asyncio.create_task(engine.store(NS, new(where))) for where in (a, b, c)]
        links = [asyncio.create_task(engine.link(NS, s, t)) for s, t in ((a, b), (b, c))]
        deletion = asyncio.create_task(engine.delete(NS, c))
        again = asyncio.create_task(engine.store(NS, new(a, "again")))
        await asyncio.gather(busy, *stores, again)
        await asyncio.gather(*links)
        assert await deletion
        assert [link.target for link in await engine.neighbors(NS, a)] == [b]
        assert await engine.neighbors(NS, b) == []
        assert (await engine.check()).consistent


async def test_what_a_group_has_written_is_acknowledged_though_the_rest_of_it_fails(
    house: House,
) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine, house.open() as other:
        await other.store(NS, new(HERE, "in the way"))
        await other.store(NS, new(at(1)))
        faults.kv.fail("commit", nth=2, error=lambda: StorageFullError("full", backend="faulty"))
        free, blocked = await asyncio.gather(
            engine.store(NS, new(at(1), "free", expected_version=1)),
            engine.store(NS, new(HERE, "blocked")),
            return_exceptions=True,
        )
        assert isinstance(blocked, StorageFullError)
        assert (await engine.get(NS, HERE)).payload == {"text": "in the way"}
        assert isinstance(free, Stored)


async def test_a_lost_reply_is_an_error_and_the_write_is_there_and_gets_indexed(
    house: House,
) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        faults.kv.lose_reply("commit")
        with pytest.raises(BackendUnavailableError):
            await engine.store(NS, new(HERE, "lost and found"))
        assert (await engine.get(NS, HERE)).version == 1
        assert await house.points() == {}
        await house.sweep(LEASE)
        assert await house.points() == {HERE: 1}
        assert await house.outbox_depth() == 0


async def test_a_failed_commit_leaves_nothing(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        faults.kv.fail("commit")
        with pytest.raises(BackendUnavailableError):
            await engine.store(NS, new(HERE))
        with pytest.raises(NotFoundError):
            await engine.get(NS, HERE)
        assert (await engine.stats(NS)).total_memories == 0
        assert await house.outbox_depth() == 0


async def test_a_write_whose_caller_gave_up_is_followed_up_without_waiting_for_its_lease(
    house: House,
) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        gate = faults.kv.hold_reply("commit")
        writer = asyncio.create_task(engine.store(NS, new(HERE, "cancelled")))
        await gate.reached()
        writer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await writer
        gate.open()
        assert (await engine.get(NS, HERE)).version == 1
        assert (await engine.stats(NS)).total_memories == 1
        await house.nothing_waits()
        assert await house.points() == {HERE: 1}


async def test_a_writer_cancelled_before_its_group_starts_writes_nothing(house: House) -> None:
    faults = Faults()
    async with house.open(faults=faults) as engine:
        gate = faults.kv.hold("commit")
        first = asyncio.create_task(engine.store(NS, new(at(1))))
        await gate.reached()
        second = asyncio.create_task(engine.store(NS, new(at(2))))
        await asyncio.sleep(0)
        second.cancel()
        gate.open()
        await first
        with pytest.raises(asyncio.CancelledError):
            await second
        assert await engine.get_many(NS, [at(2)]) == [None]


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_cancelling_a_write_at_any_moment_leaves_no_half(house: House, turns: int) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(at(9)))
        writer = asyncio.create_task(engine.store(NS, new(HERE)))
        for _ in range(turns):
            await asyncio.sleep(0)
        writer.cancel()
        await asyncio.gather(writer, return_exceptions=True)
        await house.sweep(LEASE)
        await eventually(lambda: _settled(house))
        [memory] = await engine.get_many(NS, [HERE])
        assert (await engine.stats(NS)).total_memories == (2 if memory else 1)
        assert (HERE in await house.points()) == (memory is not None)
        assert (await engine.check()).consistent


async def _settled(house: House) -> bool:
    return await house.outbox_depth() == 0
