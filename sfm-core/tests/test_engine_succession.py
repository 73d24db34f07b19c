"""A truth that takes over from another loses nothing, whatever happens on the way."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from datetime import timedelta

import pytest
from engine_house import NS, at, found, new
from engine_town import Town, crashing, url

from sfm_core.engine.changeover import LEASE, migrate, truths
from sfm_core.engine.comparing import compare_truths
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.succession import take_over
from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    NotFoundError,
    SupersededError,
)
from sfm_core.model.events import START
from sfm_core.model.keys import memory_key
from sfm_core.model.memory import Episode, MemoryType

A, B, C, D = at(1), at(2, 0.5), at(-3), at(4)


@pytest.fixture
def town() -> Town:
    return Town()


async def furnish(engine: MemoryEngine) -> None:
    """Store something of everything that a truth can hold."""
    await engine.store(NS, new(A, "first", importance=0.25))
    await engine.store(NS, new(A, "second", type=MemoryType.SEMANTIC))
    await engine.store(NS, new(B, "for two days", ttl=timedelta(days=2)))
    await engine.store("other", new(C, "elsewhere", episode=Episode(name="e", order=1.5)))
    await engine.store(NS, new(D, "to be forgotten"))
    await engine.link(NS, A, B, type="x y", weight=0.2)
    await engine.link(NS, B, D)
    await engine.get(NS, A)
    await engine.delete(NS, D)


async def exported(engine: MemoryEngine) -> list[bytes]:
    return [line async for line in engine.export()]


async def test_everything_of_the_old_truth_is_in_the_new_one(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
    async with town.engine("a") as engine:
        before = await exported(engine)

    await town.start("b")
    assert await town.content("b") == await town.content("a")
    async with town.engine("b") as engine:
        assert await exported(engine) == before
        assert await found(engine, "second") == [A, B]
        assert (await engine.stats(NS)).total_memories == 2


async def test_reads_that_were_counted_travel(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
    async with town.server("b") as engine:
        assert (await engine.access(NS, A)).count == 1


async def test_versions_go_on_where_they_were_and_deletions_stay(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
    async with town.server("b") as engine:
        assert (await engine.store(NS, new(A, "third"))).version == 3
        with pytest.raises(NotFoundError):
            await engine.get(NS, D)
        assert (await engine.store(NS, new(D, "back again"))).version == 3


async def test_a_round_through_all_truths_ends_with_what_was_written_last(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
    async with town.server("b") as engine:
        await engine.delete(NS, A)
        await engine.store(NS, new(C, "written in b"))
    async with town.server("c") as engine:
        await engine.store(NS, new(C, "written in c"))
        await engine.link(NS, C, B)
        last = await exported(engine)

    await town.start("a")
    assert await town.content("a") == await town.content("c")
    async with town.engine("a") as engine:
        assert await exported(engine) == last
        with pytest.raises(NotFoundError):
            await engine.get(NS, A)


async def test_the_newest_truth_is_found_though_the_one_in_between_is_gone(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
    for place in ("b", "c"):
        async with town.server(place) as engine:
            await engine.store(NS, new(C, f"written in {place}"))
    town.stop("b")

    async with town.server("a") as engine:
        assert (await engine.get(NS, C)).payload == {"text": "written in c"}


async def test_a_start_is_refused_while_the_newer_truth_cannot_be_reached(town: Town) -> None:
    for place in ("a", "b"):
        async with town.server(place) as engine:
            await engine.store(NS, new(A))
    town.stop("b")

    with pytest.raises(ConfigurationError, match="have moved to another truth at b:"):
        await town.start("a")


@pytest.mark.parametrize("nth", [1, 2])
async def test_a_start_whose_own_truth_stops_answering_fails_and_leaves_nothing_half_begun(
    town: Town, nth: int
) -> None:
    async with town.server("a") as engine:
        await furnish(engine)

    town.faults["b"].fail("get_many", nth=nth)
    with pytest.raises(BackendUnavailableError):
        await town.start("b")

    # What was made and never awaited warns only once it is collected, and a warning is an error.
    gc.collect()


async def test_nothing_is_copied_onto_a_truth_that_is_the_newest(town: Town) -> None:
    for place in ("a", "b"):
        async with town.server(place) as engine:
            await engine.store(NS, new(A))

    assert (await town.start("b")).report is None


async def test_a_truth_of_others_is_left_alone(town: Town) -> None:
    for place in ("a", "b"):
        async with town.engine(place) as engine:
            await engine.store(NS, new(A, f"of {place}"))
    before = await town.content("b")

    assert (await town.start("a", last="a")).report is None
    assert await town.content("b") == before


async def test_two_truths_that_each_hold_more_are_not_brought_together_unasked(
    town: Town,
) -> None:
    for place in ("a", "b"):
        async with town.engine(place) as engine:
            await engine.store(NS, new(A, f"of {place}"))

    with pytest.raises(ConfigurationError, match="sfm export"):
        await town.start("b", last="a")


async def test_of_several_truths_an_empty_one_follows_the_one_that_was_used_last(
    town: Town,
) -> None:
    for place in ("a", "b"):
        async with town.engine(place) as engine:
            await engine.store(NS, new(A, f"of {place}"))

    with pytest.raises(ConfigurationError, match="sfm migrate"):
        await town.start("c")
    async with town.server("c", last="b") as engine:
        assert (await engine.get(NS, A)).payload == {"text": "of b"}


async def test_a_truth_that_a_server_runs_on_is_not_taken_away_by_a_start(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
        with pytest.raises(ConfigurationError, match="a server runs on that"):
            await town.start("b")
        await engine.store(NS, new(A, "still ours"))


async def test_what_a_killed_server_left_holds_up_the_next_start_for_a_lease_only(
    town: Town,
) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
        town.faults["a"].fail("commit", times=None)
    town.faults["a"].clear()
    began = town.clock.monotonic()

    assert (await town.start("b")).report is not None
    assert town.clock.monotonic() - began < 3 * LEASE.total_seconds()


async def test_handing_over_while_a_server_runs_loses_no_acknowledged_write(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
        acknowledged: list[int] = []

        async def write() -> None:
            for number in range(10_000):
                await engine.store(NS, new(at(9, number)))
                acknowledged.append(number)

        writer = asyncio.create_task(write())
        await asyncio.sleep(0)
        await town.while_time_passes(hand_over(town, "a", "b"))
        with pytest.raises(SupersededError):
            await writer
        assert (await engine.get(NS, A)).version == 2

    assert acknowledged
    async with town.server("b") as engine:
        for number in acknowledged:
            await engine.get(NS, at(9, number))


async def hand_over(town: Town, old: str, new_place: str) -> None:
    async with truths(town.maker(), url(new_place), [url(old)]) as (target, [source], _):
        await take_over(source, target, town.clock, "migration", lease=LEASE)


async def test_events_that_were_not_published_go_along_once(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
    async with town.server("b"):
        pass
    async with town.server("a"):
        pass
    async with town.kv("a") as kv:
        logged = await kv.read_events(after=START, limit=100)
    told = [(event.namespace, event.note.key, event.note.version) for event in logged]

    assert len(told) == len(set(told))
    assert ("other", memory_key(C), 1) in told
    assert (NS, memory_key(D), 2) in told


async def test_two_servers_that_start_at_the_same_time_copy_once(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)

    both = await asyncio.gather(town.start("b"), town.start("b"))

    reports = [one.report for one in both if one.report and one.report.verified]
    assert len(reports) == 1
    assert await town.content("b") == await town.content("a")


@pytest.mark.parametrize("place", ["a", "b"])
@pytest.mark.parametrize("then", ["a", "b"])
@pytest.mark.parametrize("nth", range(1, 13))
async def test_a_succession_that_is_cut_short_anywhere_can_be_finished_or_called_off(
    town: Town, place: str, then: str, nth: int
) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
    before = await town.content("a")

    with crashing(town, place, nth), suppress(BackendError):
        await town.start("b")

    async with town.server(then) as engine:
        assert await town.content(then) == before
        await engine.store(NS, new(C, "goes on"))
    other = "b" if then == "a" else "a"
    await town.start(other)
    assert await town.content("a") == await town.content("b")
    async with town.engine(other) as engine:
        assert (await engine.get(NS, C)).payload == {"text": "goes on"}


async def test_a_lost_reply_stops_the_copy_and_the_next_start_ends_it(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
    town.faults["b"].lose_reply("commit", nth=6)

    with pytest.raises(BackendUnavailableError):
        await town.start("b")
    assert (await town.start("b")).report is not None
    assert await town.content("b") == await town.content("a")


async def test_a_server_goes_on_after_a_handover_that_was_called_off(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
        town.faults["b"].fail("commit", nth=5, times=None)
        with pytest.raises(BackendError):
            await town.while_time_passes(hand_over(town, "a", "b"))
        with pytest.raises(SupersededError):
            await engine.store(NS, new(C))
        town.faults["b"].clear()
        await town.start("a")
        await town.clock.advance(LEASE)
        assert (await engine.store(NS, new(C))).version == 1


async def test_a_migration_refuses_to_lose_what_only_the_new_truth_has(town: Town) -> None:
    for place in ("a", "b"):
        async with town.engine(place) as engine:
            await engine.store(NS, new(A, f"of {place}"))

    with pytest.raises(ConfigurationError, match="holds memories that a: never had"):
        await migrate(town.maker(), url("a"), url("b"))
    report = await migrate(town.maker(), url("a"), url("b"), replace=True)

    assert report.verified is not None
    assert await town.content("b") == await town.content("a")


async def test_a_dry_run_counts_and_changes_nothing(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)

    report = await migrate(town.maker(), url("a"), url("b"), dry_run=True)

    assert report.written == sum(map(len, (await town.content("a")).values()))
    assert await town.content("b") == {}
    async with town.engine("a") as engine:
        await engine.store(NS, new(A, "still ours"))


async def test_an_older_truth_replaces_a_newer_one_only_when_told_to(town: Town) -> None:
    for place in ("a", "b"):
        async with town.server(place) as engine:
            await engine.store(NS, new(A, f"of {place}"))

    report = await migrate(town.maker(), url("a"), url("b"))
    assert report.verified is None
    await migrate(town.maker(), url("a"), url("b"), replace=True)

    async with town.server("b") as engine:
        assert (await engine.get(NS, A)).payload == {"text": "of a"}


async def test_a_migration_onto_itself_is_refused(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
    with pytest.raises(ConfigurationError, match="one truth"):
        await migrate(town.maker(), url("a"), url("a"), replace=True)


async def test_two_truths_are_compared_memory_by_memory(town: Town) -> None:
    async with town.server("a") as engine:
        await furnish(engine)
    await town.start("b")
    async with town.engine("b") as engine:
        await engine.store(NS, new(A, "changed"))
        await engine.store(NS, new(C, "only in b"))
        await engine.delete(NS, B)

    async with town.kv("b") as here, town.kv("a") as there:
        difference = await compare_truths(here, there, town.clock)

    assert (difference.same, difference.only_here) == (1, 1)
    assert (difference.only_there, difference.different) == (2, 1)
    assert "house: -3 is only here" in difference.examples
    assert not difference.equal
