"""Whoever was slow, paused or too late changes nothing that others rely on."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

import pytest
from engine_house import NS, at, found, new
from engine_town import TICK, Town, crashing, url

from sfm_core.engine.changeover import LEASE, foresee, migrate
from sfm_core.engine.locking import locked
from sfm_core.engine.manifest import change_manifest
from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    DeadlineExceededError,
    SupersededError,
)
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, KeyValueStore, Write
from sfm_core.testing.faults import Gate

A, B = at(1), at(2)


@pytest.fixture
async def town() -> Town:
    """A town whose truth `a` holds a memory."""
    built = Town()
    async with built.server("a") as engine:
        await engine.store(NS, new(A, "of a"))
    built.new_process()
    return built


async def stand(town: Town, gate: Gate, task: asyncio.Task[object]) -> None:
    """Let time pass until a task stands at a gate, or has ended."""
    reached = asyncio.ensure_future(gate.reached())
    while not (reached.done() or task.done()):
        await town.clock.advance(TICK)
    reached.cancel()


async def test_a_write_that_slept_through_a_succession_is_not_acknowledged(town: Town) -> None:
    async with town.server("a") as engine:
        await town.clock.advance(TICK)
        gate = town.faults["a"].hold("commit")
        write = asyncio.create_task(engine.store(NS, new(B)))
        await gate.reached()
        town.new_process()
        await town.while_time_passes(migrate(town.maker(), url("a"), url("b")))
        gate.open()
        with pytest.raises(DeadlineExceededError):
            await write


async def test_a_slow_write_is_acknowledged_where_nothing_has_taken_over(town: Town) -> None:
    async with town.server("a") as engine:
        await town.clock.advance(TICK)
        gate = town.faults["a"].hold("commit")
        write = asyncio.create_task(engine.store(NS, new(B)))
        await gate.reached()
        await town.clock.advance(2 * LEASE)
        gate.open()
        assert (await write).version == 1


@pytest.mark.parametrize("nth", range(1, 12))
async def test_a_start_that_slept_while_another_truth_took_over_does_not_finish(
    town: Town, nth: int
) -> None:
    gate = town.faults["b"].hold("commit", nth=nth, times=None)
    slow = asyncio.create_task(town.starting("b"))
    await stand(town, gate, slow)
    town.new_process()
    async with town.server("c") as engine:
        await engine.store(NS, new(B, "of c"))
        gate.open()
        with suppress(BackendError, ConfigurationError):
            await town.while_time_passes(slow)
        assert await town.content("b") != await town.content("c")
        town.new_process()
        with pytest.raises(ConfigurationError, match="a server runs on that"):
            await town.start("b")
    await town.start("b")
    assert await town.content("b") == await town.content("c")


@pytest.mark.parametrize(("place", "call"), [("a", "get_many"), ("b", "namespaces")])
async def test_a_start_that_slept_amid_its_look_sees_what_another_one_has_done_since(
    town: Town, place: str, call: str
) -> None:
    gate = town.faults[place].hold(call)
    slow = asyncio.create_task(town.starting("b"))
    await stand(town, gate, slow)
    town.new_process()
    done = await town.start("b")
    gate.open()
    assert (await town.while_time_passes(slow)).truth_id == done.truth_id


async def test_an_engine_that_slept_while_it_opened_searches_what_was_copied_meanwhile(
    town: Town,
) -> None:
    async with AsyncExitStack() as stack:
        gate = town.faults["b"].hold_reply("namespaces")
        opening = asyncio.create_task(stack.enter_async_context(town.engine("b")))
        await stand(town, gate, opening)
        town.new_process()
        await town.while_time_passes(migrate(town.maker(), url("a"), url("b")))
        gate.open()
        engine = await town.while_time_passes(opening)
        assert (await engine.check()).consistent
        assert await found(engine, "of a") == [A]


async def test_a_start_that_slept_removes_nothing_that_was_written_since(town: Town) -> None:
    gate = town.faults["b"].hold("commit", nth=4, times=None)
    slow = asyncio.create_task(town.starting("b"))
    await stand(town, gate, slow)
    town.new_process()
    async with town.server("b") as engine:
        await engine.store(NS, new(B, "since"))
        before = await town.content("b")
        gate.open()
        with suppress(BackendError):
            await town.while_time_passes(slow)
        assert await town.content("b") == before


async def test_half_a_copy_never_counts_because_another_one_was_begun(town: Town) -> None:
    before = await town.content("a")
    for place in ("b", "c"):
        town.new_process()
        with crashing(town, place, 6), suppress(BackendError):
            await town.start(place)
    town.new_process()

    await town.start("b")
    assert await town.content("b") == before


async def test_of_two_migrations_at_once_the_second_finds_it_done(town: Town) -> None:
    before = await town.content("a")
    copying = town.faults["b"].hold("commit", nth=4)
    first = asyncio.create_task(migrate(town.maker(), url("a"), url("b")))
    await stand(town, copying, first)
    town.new_process()
    # It has looked at both by the time that it asks for the lock.
    asking = town.faults["b"].hold("get_many", nth=2)
    second = asyncio.create_task(migrate(town.maker(), url("a"), url("b")))
    await stand(town, asking, second)

    copying.open()
    assert (await town.while_time_passes(first)).verified is not None
    asking.open()
    assert (await town.while_time_passes(second)).verified is None
    assert await town.content("b") == before


async def test_half_a_copy_is_not_migrated(town: Town) -> None:
    with crashing(town, "b", 6), suppress(BackendError):
        await town.start("b")
    town.new_process()

    for replace in (False, True):
        with pytest.raises(ConfigurationError, match="half copied"):
            await migrate(town.maker(), url("b"), url("c"), replace=replace)


async def test_a_server_on_an_empty_truth_loses_nothing_when_another_one_is_copied_there(
    town: Town,
) -> None:
    acknowledged: list[int] = []
    async with town.engine("b") as engine:

        async def write() -> None:
            for number in range(10_000):
                await engine.store(NS, new(at(9, number)))
                acknowledged.append(number)

        town.new_process()
        start = asyncio.ensure_future(town.starting("b"))
        await asyncio.sleep(0)
        writer = asyncio.create_task(write())
        with suppress(SupersededError):
            await town.while_time_passes(
                asyncio.wait({start, writer}, return_when="FIRST_COMPLETED")
            )
        writer.cancel()
        await asyncio.wait({writer})
        await town.while_time_passes(start)
        found = await engine.get_many(NS, [at(9, number) for number in acknowledged])
    assert None not in found


async def test_a_truth_that_lost_its_manifest_is_not_overwritten(town: Town) -> None:
    await town.start("b")
    async with town.kv("a") as kv:
        await remove(kv, b"manifest")
    before = await town.content("a")
    async with town.server("b") as engine:
        await engine.store(NS, new(B, "of b"))

    await town.start("a")
    assert await town.content("a") == before


async def test_a_migration_from_an_empty_truth_removes_nothing(town: Town) -> None:
    before = await town.content("a")

    assert (await migrate(town.maker(), url("b"), url("a"))).verified is None
    with pytest.raises(ConfigurationError, match="holds nothing"):
        await migrate(town.maker(), url("b"), url("a"), replace=True)
    assert await town.content("a") == before


async def test_a_start_is_refused_on_what_was_not_used_last_and_never_had_it(town: Town) -> None:
    async with town.engine("b") as engine:
        await engine.store(NS, new(B, "of others"))
    town.stop("a")

    with pytest.raises(ConfigurationError, match="were last in a:"):
        await town.start("b", last="a")


@pytest.mark.parametrize("times", [2, 4])
async def test_a_truth_that_does_not_answer_for_a_moment_is_tried_again_before_a_refusal(
    town: Town, times: int
) -> None:
    before = await town.content("a")
    town.faults["a"].fail("get_many", times=times)
    await town.start("b", last="a")
    assert await town.content("b") == before


async def test_an_older_truth_does_not_follow_one_that_was_passed_over(town: Town) -> None:
    for place in ("b", "c"):
        async with town.server(place) as engine:
            await engine.store(NS, new(B, f"of {place}"))
    async with town.kv("b") as kv:
        await change_manifest(kv, "a person", lambda m: type(m)(truth_id=m.truth_id, epoch=9))

    with pytest.raises(ConfigurationError, match="were last in b:"):
        await town.start("a", last="b")


async def test_what_a_start_would_do_is_told_without_doing_it(town: Town) -> None:
    decision = await foresee(town.maker(), url("b"), [url("a")])

    assert decision.source is not None
    assert decision.source.place == "a:"
    assert await town.truth_id("b") is None


async def test_health_names_what_has_taken_over(town: Town) -> None:
    async with town.server("a") as engine:
        assert (await engine.health()).ports["kv"].superseded_by == ""
        await town.while_time_passes(migrate(town.maker(), url("a"), url("b")))
        assert (await engine.health()).ports["kv"].superseded_by == "b:"


async def test_a_lock_outlives_a_lost_reply(town: Town) -> None:
    async with (
        town.maker().kv("a:") as kv,
        locked(kv, town.clock, "one", "name", lease=LEASE) as lock,
    ):
        town.faults["a"].lose_reply("commit")
        await town.while_time_passes(town.clock.sleep(LEASE))
        assert town.faults["a"].struck["commit"]
        await lock.ensure()


async def test_a_lock_is_free_though_it_was_taken_only_as_nobody_wanted_it_any_more(
    town: Town,
) -> None:
    gate = town.faults["a"].hold_reply("commit")

    async def hold(kv: KeyValueStore) -> None:
        async with locked(kv, town.clock, "one", "name", lease=LEASE):
            await town.clock.sleep(LEASE)

    async with town.maker().kv("a:") as kv, town.kv("a") as behind:
        holding = asyncio.create_task(hold(kv))
        await gate.reached()
        holding.cancel()
        gate.open()
        await asyncio.wait({holding})
        assert await behind.get_many(SYSTEM_NAMESPACE, [b"lock/name"]) == [None]


async def test_a_lock_that_another_process_took_is_noticed(town: Town) -> None:
    async with (
        town.maker().kv("a:") as kv,
        town.kv("a") as behind,
        locked(kv, town.clock, "one", "name", lease=LEASE) as lock,
    ):
        await put(behind, b"lock/name", b"somebody else's")
        await town.while_time_passes(town.clock.sleep(LEASE))
        with pytest.raises(BackendUnavailableError, match="took this one for dead"):
            await lock.ensure()


async def test_entries_of_engines_that_cannot_be_read_are_waited_for(town: Town) -> None:
    async with town.kv("a") as kv:
        await put(kv, b"engine/nobody", b"{")

    assert (await town.start("b")).report is not None


async def put(kv: KeyValueStore, key: bytes, value: bytes) -> None:
    await kv.commit([_commit(Write(key, value, 99))], owner="test", lease=LEASE)


async def remove(kv: KeyValueStore, key: bytes) -> None:
    await kv.commit([_commit(Write(key, None))], owner="test", lease=LEASE)


def _commit(write: Write) -> Commit:
    return Commit(namespace=SYSTEM_NAMESPACE, writes=(write,))
