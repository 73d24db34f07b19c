"""Another embedder: the old collection serves until the new one is complete."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from engine_house import (
    NS,
    SETTINGS,
    Faults,
    House,
    SmallEmbedder,
    ask,
    at,
    eventually,
    found,
    new,
)

from sfm_core.engine.catalog import distrust_derived_stores
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.report import CollectionState

A, B, C = at(1), at(2), at(3)
LONG = timedelta(minutes=2)

pytestmark = pytest.mark.usefixtures("whales")


async def roles_of(engine: MemoryEngine) -> dict[str, str]:
    states = (await engine.health()).collections
    return {state.embedder.rstrip(":"): state.role for state in states}


async def state_of(engine: MemoryEngine, embedder: str) -> CollectionState:
    [state] = [s for s in await engine.collections() if s.embedder == f"{embedder}:"]
    return state


async def points_of(house: House, engine: MemoryEngine, embedder: str) -> dict[Coordinate, int]:
    name = (await state_of(engine, embedder)).name
    [collection] = [c for c in await house.vector.collections() if c.name == name]
    return await house.points(collection=collection)


def stuck() -> Faults:
    """Faults that keep a collection of another embedder from being filled."""
    faults = Faults()
    faults.other.fail("embed", times=None)
    return faults


async def test_the_old_collection_serves_until_the_new_one_is_complete(house: House) -> None:
    faults = stuck()
    async with house.open(embedder="small", faults=faults, settled=False) as engine:
        assert await roles_of(engine) == {"memory": "serving", "small": "building"}
        assert len(await found(engine, "whale", 50)) == 20
        faults.clear()
        await house.settle(engine)
        assert await roles_of(engine) == {"memory": "kept", "small": "serving"}
        assert len(await found(engine, "whale", 50)) == 20
        assert (await engine.check()).consistent


async def test_what_is_kept_is_not_written_any_more(house: House) -> None:
    async with house.open(embedder="small") as engine:
        await engine.store(NS, new(A, "written later"))
        assert (await points_of(house, engine, "memory"))[A] == 1
        assert (await points_of(house, engine, "small"))[A] == 2


async def test_writes_and_deletions_reach_both_while_one_is_built(house: House) -> None:
    faults = Faults()
    gate = faults.other.hold("embed")
    async with house.open(embedder="small", faults=faults, settled=False) as engine:
        await gate.reached()
        assert (await engine.store(NS, new(A, "a new shark"))).indexed
        assert await engine.delete(NS, B)
        assert await found(engine, "shark", 1) == [A]
        await house.nothing_waits(sweeping=True)
        faults.clear()
        await house.settle(engine)
        expected = {at(n): 2 if n == 1 else 1 for n in range(20) if n != 2}
        assert await points_of(house, engine, "small") == expected
        assert await points_of(house, engine, "memory") == expected
        assert await found(engine, "shark", 1) == [A]


async def test_a_write_does_not_wait_for_a_new_collection_that_cannot_follow(house: House) -> None:
    faults = stuck()
    async with house.open(embedder="small", faults=faults, settled=False) as engine:
        assert (await engine.store(NS, new(A, "a new shark"))).indexed
        assert await found(engine, "shark", 1) == [A]
        assert await house.outbox_depth() == 1
        faults.clear()
        await house.settle(engine)
        await house.sweep(LONG)
        await house.sweep(LONG)
        await house.nothing_waits(sweeping=True)
        assert (await points_of(house, engine, "small"))[A] == 2


async def test_health_tells_how_far_a_build_is_and_why_it_failed(house: House) -> None:
    faults = stuck()
    async with house.open(embedder="small", faults=faults, settled=False) as engine:
        while not (building := await state_of(engine, "small")).failures:
            await house.sweep()
        health = await engine.health()
        assert health.rebuilding
        assert building in health.collections
        assert (building.done, building.total, building.complete) == (0, 20, False)
        assert "embed was made to fail" in building.error
        assert building.since is not None
        faults.clear()
        await house.settle(engine)
        served = await state_of(engine, "small")
        assert (served.done, served.total, served.complete) == (20, 20, True)
        assert (served.failures, served.error) == (0, "")
        assert not (await engine.health()).rebuilding


async def test_an_interrupted_build_is_gone_on_with_not_begun_anew(house: House) -> None:
    faults = Faults()
    async with house.open() as engine:
        await engine.store_many(NS, [new(at(n), f"squid number {n}") for n in range(100, 700)])
    faults.vector.fail("upsert", nth=2, times=None)
    async with house.open(embedder="small", faults=faults, settled=False) as engine:
        await eventually(lambda: faults.vector.calls["upsert"] >= 2)
        assert len(await points_of(house, engine, "small")) == 500
    before = house.embedded.copy()
    async with house.open(embedder="small") as engine:
        assert len(await points_of(house, engine, "small")) == 620
    assert (house.embedded - before).total() < 150


async def test_going_back_costs_what_was_written_since(house: House) -> None:
    async with house.open(embedder="small"):
        pass
    async with house.open(embedder="memory") as engine:
        await engine.store(NS, new(A, "changed since"))
        await engine.delete(NS, B)
        assert await roles_of(engine) == {"memory": "serving", "small": "kept"}
    before = house.embedded.copy()
    async with house.open(embedder="small") as engine:
        assert await roles_of(engine) == {"memory": "kept", "small": "serving"}
        assert (await engine.check()).consistent
        assert await found(engine, "changed since", 1) == [A]
    assert set(house.embedded - before) == {"changed since"}


async def test_going_back_at_once_needs_no_build(house: House) -> None:
    async with house.open(), house.open(embedder="small", settled=False) as newer:
        await house.settle(newer)
        assert await roles_of(newer) == {"memory": "retiring", "small": "serving"}
        async with house.open(settled=False) as back:
            assert await roles_of(back) == {"memory": "serving", "small": "retiring"}
            assert (await back.check()).consistent


async def test_going_back_before_the_end_gives_the_build_up(house: House) -> None:
    async with house.open(embedder="small", faults=stuck(), settled=False):
        pass
    async with house.open() as engine:
        assert await roles_of(engine) == {"memory": "serving", "small": "kept"}
        await engine.store(NS, new(A, "changed"))
        await house.nothing_waits(sweeping=True)


async def test_the_last_start_decides(house: House) -> None:
    faults = stuck()
    async with house.open(embedder="small", faults=faults, settled=False) as first:
        async with house.open(embedder="tiny") as second:
            assert (await roles_of(second))["tiny"] == "serving"
        faults.clear()
        await house.sweep()
        expected = {"memory": "kept", "small": "kept", "tiny": "serving"}
        assert await roles_of(first) == expected
        assert len(await found(first, "whale", 50)) == 20


async def test_an_engine_that_does_not_decide_uses_what_serves(house: House) -> None:
    async with house.open(embedder="small", decides=False) as engine:
        assert await roles_of(engine) == {"memory": "serving"}
        await engine.store(NS, new(A, "a new shark"))
        assert await found(engine, "shark", 1) == [A]
        await house.nothing_waits(sweeping=True)


async def test_an_old_embedder_that_is_gone_leaves_its_words(house: House) -> None:
    faults = stuck()
    async with house.open(
        embedder="small", installed=["small"], faults=faults, settled=False
    ) as engine:
        assert await roles_of(engine) == {"memory": "kept", "small": "serving"}
        faults.clear()
        faults.vector.fail("upsert", times=None)
        assert (await found(engine, "number 7", 1)) == [at(7)]
        faults.clear()
        await engine.store(NS, new(A, "a new shark"))
        assert await found(engine, "shark", 1) == [A]
        assert len(await found(engine, "whale", 50)) == 20
        await house.settle(engine)
        assert await points_of(house, engine, "small") == {
            at(n): 2 if n == 1 else 1 for n in range(20)
        }


async def test_an_embedder_that_makes_other_vectors_than_before_is_another_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.open(embedder="small"):
        pass
    newer = replace(SmallEmbedder("small", house.embedded).fingerprint, revision="2")
    monkeypatch.setattr(SmallEmbedder, "fingerprint", newer)
    async with house.open(embedder="small") as engine:
        states = await engine.collections()
        assert [s.complete for s in states if s.role == "serving"] == [True]
        assert [s.role for s in states if s.embedder == "small:"].count("kept") == 1
        assert len(await found(engine, "whale", 50)) == 20


async def test_a_write_by_an_engine_that_has_not_heard_of_the_new_collection_is_in_it(
    house: House,
) -> None:
    async with (
        house.open() as old,
        house.open(embedder="small", settled=False) as newer,
    ):
        await eventually(lambda: len(house.embedded) >= 20)
        assert (await old.store(NS, new(A, "written in ignorance"))).indexed
        await house.nothing_waits(sweeping=True)
        await house.settle(newer)
        assert await found(newer, "ignorance", 1) == [A]
        assert (await newer.check()).consistent


async def test_engines_that_share_a_truth_switch_together(house: House) -> None:
    async with house.open() as old, house.open(embedder="small") as newer:
        await house.sweep()
        assert await roles_of(old) == await roles_of(newer)
        await old.store(NS, new(A, "written by the old one"))
        await newer.store(NS, new(B, "written by the newer one"))
        for engine in (old, newer):
            assert await found(engine, "newer one", 1) == [B]
            assert (await engine.check()).consistent
        await house.nothing_waits(sweeping=True)


async def test_an_old_engine_without_the_new_embedder_goes_on_with_its_own(house: House) -> None:
    async with house.open(installed=["memory"]) as old:
        async with house.open(embedder="small", settled=False) as newer:
            await house.sweep()
            assert (await old.store(NS, new(A, "written by the old one"))).indexed
            await house.settle(newer)
            await house.sweep()
            await house.nothing_waits(sweeping=True)
            assert (await points_of(house, newer, "small"))[A] == 2
            await newer.store(NS, new(B, "written by the newer one"))
            await newer.delete(NS, C)
            assert await found(old, "newer one", 1) == [B]
            assert await found(old, "the old one", 1) == [A]
            assert len(await found(old, "whale", 50)) == 19
            assert (await state_of(old, "small")).unusable
            for _ in range(12):
                await house.sweep()
            assert await roles_of(newer) == {"memory": "retiring", "small": "serving"}
        await old.store(NS, new(C, "written when the newer one was gone"))
        assert await found(old, "gone", 1) == [C]
        assert await house.outbox_depth() == 1
    async with house.open(embedder="small") as newer:
        await house.sweep(LONG)
        await house.sweep()
        assert await found(newer, "gone", 1) == [C]
        await house.nothing_waits(sweeping=True)
        assert await roles_of(newer) == {"memory": "kept", "small": "serving"}


async def test_a_build_whose_engine_has_gone_is_left_as_it_is_in_the_end(house: House) -> None:
    async with house.open() as old:
        async with house.open(embedder="small", faults=stuck(), settled=False):
            await house.sweep()
        assert await roles_of(old) == {"memory": "serving", "small": "building"}
        for _ in range(10):
            await house.sweep()
        assert await roles_of(old) == {"memory": "serving", "small": "kept"}


async def test_what_has_served_is_kept_current_while_another_engine_may_search_it(
    house: House,
) -> None:
    faults = stuck()
    async with (
        house.open(installed=["memory"]),
        house.open(embedder="small", faults=faults, settled=False) as newer,
    ):
        for _ in range(12):
            await house.sweep()
        faults.clear()
        await house.settle(newer)
        assert await roles_of(newer) == {"memory": "retiring", "small": "serving"}
        for _ in range(12):
            await house.sweep()
        await newer.store(NS, new(A, "written later"))
        await house.nothing_waits(sweeping=True)
        assert await roles_of(newer) == {"memory": "retiring", "small": "serving"}
        assert (await points_of(house, newer, "memory"))[A] == 2


async def test_another_engine_takes_a_build_over(house: House) -> None:
    faults = Faults()
    gate = faults.other.hold("embed", times=None)
    async with house.open(embedder="small", faults=faults, settled=False):
        await gate.reached()
        faults.kv.fail("get_many", times=None)
        async with house.open(embedder="small", settled=False) as other:
            for _ in range(6):
                await house.sweep()
            await house.settle(other)
            assert (await roles_of(other))["small"] == "serving"
        faults.clear()


async def test_derived_stores_that_are_distrusted_are_compared_while_they_serve(
    house: House,
) -> None:
    async with house.open() as engine:
        await engine.link(NS, A, B)
        await distrust_derived_stores(house.kv, "test")
        edge = (await house.graph.scroll(NS, after=None, limit=1))[0]
        await house.graph.apply(NS, deletes=[edge.id])
        await house.sweep()
        assert len(await found(engine, "whale", 50)) == 20
        await house.settle(engine)
        assert [link.target for link in await engine.neighbors(NS, A)] == [B]
        assert len(await house.edges()) == 1


async def test_a_rebuild_remakes_what_is_built_too_and_ends_when_it_serves(house: House) -> None:
    async with house.open(embedder="small", settled=False) as engine:
        task = asyncio.create_task(engine.rebuild())
        await house.settle(engine)
        await task
        assert await roles_of(engine) == {"memory": "kept", "small": "serving"}


async def test_a_changed_text_rule_is_built_beside_the_old_one_too(house: House) -> None:
    changed = replace(SETTINGS, text=replace(SETTINGS.text, context_weights=()))
    faults = Faults()
    faults.vector.fail("upsert", times=None)
    async with house.open(changed, faults=faults, settled=False) as engine:
        assert len(await found(engine, "whale", 50)) == 20
        assert sorted(s.role for s in await engine.collections()) == ["building", "serving"]
        faults.clear()
        await house.settle(engine)
        assert sorted(s.role for s in await engine.collections()) == ["kept", "serving"]
        assert len(await engine.recall(NS, ask("whale", 50))) == 20


async def test_links_are_followed_while_a_collection_is_built(house: House) -> None:
    async with house.open(embedder="small", faults=stuck(), settled=False) as engine:
        await engine.link(NS, A, B)
        assert len(await house.edges()) == 1
