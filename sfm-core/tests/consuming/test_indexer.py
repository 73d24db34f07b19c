"""The indexer has derived stores follow what the truth notes as owed, whatever the events say."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from consuming_house import versions
from engine_house import LEASE, NS, SETTINGS, Faults, House, at, new

from sfm_core.engine.consuming.indexer import IndexerHandler
from sfm_core.errors import (
    BackendUnavailableError,
    ClosedError,
    ConfigurationError,
    SupersededError,
)
from sfm_core.handling import HandlerContext
from sfm_core.model.keys import memory_key
from sfm_core.plugins import load_plugins
from sfm_core.protocols.kv import Commit
from sfm_core.registry import BackendContext

A, B = at(1), at(2)
SOON = timedelta(seconds=3)
"""Longer than a note rests after its first failure, shorter than the pause of upkeep."""


async def owe(house: House, *, held: bool = False) -> None:
    """Store a memory that the vector store lacks, with a note that is held or free."""
    faults = Faults()
    async with house.open(faults=faults) as engine:
        faults.vector.fail("upsert", times=None)
        await engine.store(NS, new(A, "whale"))
    if held:
        await house.kv.claim(owner="another", limit=10, lease=LEASE)


async def test_a_batch_has_what_is_owed_followed(house: House) -> None:
    await owe(house)
    async with IndexerHandler(house.open) as indexer:
        await house.clock.advance(SOON)
        assert await indexer.handle(versions(1)) == [None]
        assert await house.points() == {A: 1}
        assert await house.outbox_depth() == 0


async def test_one_batch_is_as_good_as_many_events(house: House) -> None:
    async with IndexerHandler(house.open) as indexer:
        keys = [memory_key(at(number)) for number in range(1200)]
        for start in range(0, len(keys), 400):
            commit = Commit(namespace=NS, dirty=tuple(keys[start : start + 400]))
            await house.kv.commit([commit], owner="gone", lease=timedelta())
        assert await indexer.handle(versions(1, 2)) == [None, None]
        assert await house.outbox_depth() == 0


async def test_what_another_process_holds_is_left_to_it(house: House) -> None:
    async with IndexerHandler(house.open) as indexer:
        commit = Commit(namespace=NS, dirty=(memory_key(A),))
        await house.kv.commit([commit], owner="another", lease=LEASE)
        assert await indexer.handle(versions(1)) == [None]
        assert await house.outbox_depth() == 1
        await house.clock.advance(LEASE)
        await indexer.handle(versions(1))
        assert await house.outbox_depth() == 0


async def test_an_event_about_nothing_changes_nothing(house: House) -> None:
    async with IndexerHandler(house.open) as indexer:
        assert await indexer.handle(versions(7)) == [None]
        assert await indexer.handle([]) == []
        assert await house.points() == {}


async def test_it_says_so_where_a_derived_store_is_down(house: House) -> None:
    await owe(house)
    faults = Faults()
    async with IndexerHandler(lambda: house.open(faults=faults)) as indexer:
        faults.vector.fail("upsert", times=None)
        await house.clock.advance(SOON)
        with pytest.raises(BackendUnavailableError, match="cannot follow yet"):
            await indexer.handle(versions(1))
        assert await house.outbox_depth() == 1
        faults.clear()
        await house.clock.advance(SOON)
        assert await indexer.handle(versions(1)) == [None]
        # Upkeep, whose time has come too, may have been faster.
        await house.nothing_waits()
        assert await house.points() == {A: 1}


async def test_it_stops_where_another_truth_has_taken_over(house: House) -> None:
    async with IndexerHandler(house.open) as indexer:
        await house.rewrite_manifest(
            b'{"truth_id":"old","superseded_by":{"truth_id":"new","epoch":2,"place":"new:"}}'
        )
        await house.sweep()
        with pytest.raises(SupersededError, match="new: has taken over"):
            await indexer.handle(versions(1))


async def test_it_works_only_while_it_is_open(house: House) -> None:
    indexer = IndexerHandler(house.open)
    with pytest.raises(ClosedError):
        await indexer.handle([])
    async with indexer:
        assert house.engines == 1
    assert house.engines == 0
    with pytest.raises(ClosedError):
        await indexer.handle([])


def context(house: House, folder: Path) -> HandlerContext:
    return HandlerContext(
        backends=BackendContext(data_folder=folder),
        registry=load_plugins().registry,
        settings=SETTINGS,
        open_memory=house.open,
    )


async def test_it_is_chosen_by_its_scheme(house: House, tmp_path: Path) -> None:
    chosen = load_plugins().handlers.find("indexer:")
    async with chosen.factory("indexer:", context(house, tmp_path)) as made:
        assert await made.handle(versions(1)) == [None]


async def test_it_takes_no_address(house: House, tmp_path: Path) -> None:
    chosen = load_plugins().handlers.find("indexer:somewhere")
    with pytest.raises(ConfigurationError, match="does not need"):
        chosen.factory("indexer:somewhere", context(house, tmp_path))
