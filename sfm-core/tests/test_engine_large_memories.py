"""Whatever goes through memories reads large ones in portions, so that few of them are in hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import pytest
from engine_house import NS, SETTINGS, House, ask, at, found, new
from hypothesis import given
from hypothesis import strategies as st

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.portions import MOST, Portion
from sfm_core.errors import LimitExceededError
from sfm_core.inprocess.kv import InProcessKeyValueStore
from sfm_core.model.filters import parse_filter
from sfm_core.model.keys import KeyRange
from sfm_core.model.selection import Selection
from sfm_core.protocols.kv import Entry

MEGABYTE = 1024 * 1024
LARGE = "whale " * 40_000
ROOM = 6 * MEGABYTE
HUB = at(-1)

Read: TypeAlias = Callable[[MemoryEngine], Awaitable[object]]


@pytest.fixture
def in_hand(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many bytes each answer of the truth had."""
    sizes: list[int] = []
    scan, get_many = InProcessKeyValueStore.scan, InProcessKeyValueStore.get_many

    async def scanned(
        store: InProcessKeyValueStore, namespace: str, ranges: Sequence[KeyRange], *, limit: int
    ) -> list[list[tuple[bytes, Entry]]]:
        found = await scan(store, namespace, ranges, limit=limit)
        sizes.append(sum(len(entry.value) for page in found for _, entry in page))
        return found

    async def got(
        store: InProcessKeyValueStore, namespace: str, keys: Sequence[bytes]
    ) -> list[Entry | None]:
        found = await get_many(store, namespace, keys)
        sizes.append(sum(len(entry.value) for entry in found if entry is not None))
        return found

    monkeypatch.setattr(InProcessKeyValueStore, "scan", scanned)
    monkeypatch.setattr(InProcessKeyValueStore, "get_many", got)
    return sizes


async def export(engine: MemoryEngine) -> int:
    return len([line async for line in engine.export()])


async def look(engine: MemoryEngine) -> None:
    picked = Selection(filter=parse_filter({"text": "walrus"}))
    await engine.delete_matching(NS, picked, dry_run=True)


READS: dict[str, Read] = {
    "export": export,
    "clearing": look,
    "check": lambda engine: engine.check(),
    "listing": lambda engine: engine.list_memories(NS, limit=1000),
    "range": lambda engine: engine.range(NS, at(0), at(1000), limit=1000),
}


@pytest.mark.parametrize("read", READS.values(), ids=READS)
async def test_large_memories_are_read_some_at_a_time(
    house: House, in_hand: list[int], read: Read
) -> None:
    async with house.open() as engine:
        for number in range(50):
            await engine.store(NS, new(at(number), "x", payload={"more": LARGE}))
        in_hand.clear()
        await read(engine)
        assert sum(in_hand) > 10 * MEGABYTE
        assert max(in_hand) < ROOM


async def test_what_small_memories_have_replaced_is_exported_some_at_a_time(
    house: House, in_hand: list[int]
) -> None:
    async with house.open() as engine:
        for number in range(50):
            await engine.store(NS, new(at(number), "x", payload={"more": LARGE}))
            await engine.store(NS, new(at(number), "a summary"))
        in_hand.clear()
        assert await export(engine) == 2 + 2 * 50
        assert max(in_hand) < ROOM


async def test_large_ends_of_links_are_read_some_at_a_time(
    house: House, in_hand: list[int]
) -> None:
    async with house.open() as engine:
        await engine.store(NS, new(HUB))
        for number in range(300):
            await engine.store(NS, new(at(number), "x", payload={"more": LARGE[:40_000]}))
            await engine.link(NS, HUB, at(number))
        in_hand.clear()
        assert len(await engine.neighbors(NS, HUB, limit=1000)) == 300
        assert max(in_hand) < ROOM


async def test_a_recall_that_is_refused_has_not_read_all_that_it_found(
    house: House, in_hand: list[int]
) -> None:
    limits = replace(SETTINGS.limits, max_answer_bytes=MEGABYTE)
    async with house.open(replace(SETTINGS, limits=limits)) as engine:
        for number in range(200):
            await engine.store(NS, new(at(number), "x", payload={"more": LARGE[:80_000]}))
        in_hand.clear()
        with pytest.raises(LimitExceededError):
            await engine.recall(NS, ask("whale", 190))
        assert sum(in_hand) < ROOM


async def test_an_answer_is_the_same_however_few_candidates_are_read_at_a_time(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.open() as engine:
        for number in range(150):
            importance = number * 37 % 101 / 100
            await engine.store(NS, new(at(number), "whale", importance=importance))
        whole = await found(engine, "whale", 100)
        monkeypatch.setattr(Portion, "took", read_one_by_one)
        assert await found(engine, "whale", 100) == whole


def read_one_by_one(portion: Portion, sizes: Sequence[int]) -> None:
    del sizes
    portion.size = 1


@given(st.lists(st.integers(0, 3 * MEGABYTE), min_size=1, max_size=100))
def test_the_next_portion_is_as_many_as_take_four_megabytes_but_at_least_one(
    sizes: list[int],
) -> None:
    portion = Portion()
    portion.took(sizes)
    assert 1 <= portion.size <= MOST
    average = sum(sizes) / len(sizes)
    assert portion.size == 1 or portion.size * average <= 4 * MEGABYTE
    assert portion.size == MOST or (portion.size + 1) * average > 4 * MEGABYTE
