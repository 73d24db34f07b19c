"""What the outage of a store costs, and what it does not."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from engine_house import NS, Faults, House, ask, at, found, new

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import BackendUnavailableError, SfmError, StorageFullError

A, B, C = at(1), at(2), at(3)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def engine(house: House, faults: Faults) -> AsyncIterator[MemoryEngine]:
    async with house.open(faults=faults) as opened:
        await opened.store(NS, new(A, "whale"))
        await opened.store(NS, new(B, "squid"))
        await opened.link(NS, A, B)
        yield opened


def full() -> SfmError:
    return StorageFullError("No room.", backend="kv")


async def test_without_the_embedder_meaning_fails_and_words_are_found(
    faults: Faults, engine: MemoryEngine
) -> None:
    faults.embedder.fail("embed", times=None)
    with pytest.raises(BackendUnavailableError):
        await engine.recall(NS, ask("whale"))
    [hit] = await engine.recall(NS, ask("whale", arms=frozenset({"keyword"})))
    assert hit.memory.coordinate == A


async def test_without_the_graph_neighbors_and_paths_fail_and_nothing_else_does(
    faults: Faults, engine: MemoryEngine
) -> None:
    faults.graph.fail("neighbors", times=None)
    with pytest.raises(BackendUnavailableError):
        await engine.neighbors(NS, A)
    with pytest.raises(BackendUnavailableError):
        await engine.shortest_path(NS, A, B)
    assert (await found(engine, "whale"))[0] == A


async def test_what_is_read_by_coordinate_needs_nothing_but_the_truth(
    faults: Faults, engine: MemoryEngine
) -> None:
    faults.vector.fail("search", times=None)
    faults.embedder.fail("embed", times=None)
    faults.graph.fail("neighbors", times=None)
    assert (await engine.get(NS, A)).version == 1
    assert await engine.range(NS, at(0), at(2)) == [A, B]
    assert len(await engine.history(NS, A)) == 1


@pytest.mark.parametrize("error", [None, full], ids=["it is down", "it is full"])
async def test_a_write_that_the_truth_did_not_take_has_not_happened(
    house: House, faults: Faults, engine: MemoryEngine, error: object
) -> None:
    raised = StorageFullError if error is full else BackendUnavailableError
    faults.kv.fail("commit", times=None, error=full if error is full else None)
    with pytest.raises(raised):
        await engine.store(NS, new(C, "crab"))
    with pytest.raises(raised):
        await engine.store(NS, new(A, "seal"))
    with pytest.raises(raised):
        await engine.delete(NS, A)
    with pytest.raises(raised):
        await engine.unlink(NS, A, B)
    faults.clear()
    assert await engine.range(NS, at(0), at(9)) == [A, B]
    assert (await engine.get(NS, A)).version == 1
    assert [link.target for link in await engine.neighbors(NS, A)] == [B]
    await house.nothing_waits()


async def test_each_of_a_bulk_says_whether_the_truth_has_taken_it(
    faults: Faults, engine: MemoryEngine
) -> None:
    faults.kv.fail("commit", times=None)
    refused = await engine.store_many(NS, [new(C, "crab"), new(A, "seal")])
    assert [type(one) for one in refused] == [BackendUnavailableError] * 2
    faults.clear()
    assert await engine.range(NS, at(0), at(9)) == [A, B]


async def test_a_bulk_of_deletions_that_the_truth_did_not_take_is_an_error(
    faults: Faults, engine: MemoryEngine
) -> None:
    faults.kv.fail("commit", times=None)
    with pytest.raises(BackendUnavailableError):
        await engine.delete_many(NS, [A, B])
    faults.clear()
    assert await engine.range(NS, at(0), at(9)) == [A, B]


async def test_a_write_whose_reply_is_lost_says_so_and_is_indexed(
    house: House, faults: Faults, engine: MemoryEngine
) -> None:
    faults.kv.lose_reply("commit")
    with pytest.raises(BackendUnavailableError):
        await engine.store(NS, new(C, "crab"))
    assert (await engine.get(NS, C)).version == 1
    await house.sweep(timedelta(minutes=1))
    assert (await found(engine, "crab"))[0] == C


async def test_an_export_that_the_truth_interrupts_ends_with_an_error_and_no_footer(
    faults: Faults, engine: MemoryEngine
) -> None:
    export = engine.export()
    lines = [await anext(export)]
    faults.kv.fail("scan", times=None)
    faults.kv.fail("get_many", times=None)
    with pytest.raises(BackendUnavailableError):
        lines.extend([line async for line in export])
    assert not any(b'"footer"' in line for line in lines)


async def test_an_export_needs_nothing_but_the_truth(faults: Faults, engine: MemoryEngine) -> None:
    before = [line async for line in engine.export()]
    for plan in (faults.vector, faults.graph, faults.embedder):
        for method in ("search", "scroll", "neighbors", "embed", "ping"):
            plan.fail(method, times=None)
    assert [line async for line in engine.export()] == before


async def test_what_is_written_during_an_export_is_in_it_as_it_was_or_as_it_is(
    engine: MemoryEngine,
) -> None:
    export = engine.export()
    lines = [await anext(export)]
    await engine.store(NS, new(A, "seal"))
    lines.extend([line async for line in export])
    found = [json.loads(line) for line in lines]
    [told] = [one for one in found if one["kind"] == "memory" and one["coord"] == [1]]
    assert (told["version"], told["payload"]["text"]) in {(1, "whale"), (2, "seal")}
    assert found[-1]["kind"] == "footer"
