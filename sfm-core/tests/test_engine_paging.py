"""Pages of listings: what is there throughout is on exactly one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from random import Random
from typing import TypeVar

import pytest
from engine_house import NS, SETTINGS, at, new, open_house
from hypothesis import given, settings
from hypothesis import strategies as st

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import InvalidCursorError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.cursor import cursor_of, place_of
from sfm_core.model.link import Link, LinkPlace
from sfm_core.model.memory import MemoryType
from sfm_core.protocols.graph import Direction

HUB = at(0, 0)
LOW, HIGH = at(-9, -9), at(9, 9)

ItemT = TypeVar("ItemT")
PlaceT = TypeVar("PlaceT")
Disturb = Callable[[], Awaitable[None]]


async def pages(
    read: Callable[[PlaceT | None], Awaitable[Sequence[ItemT]]],
    place: Callable[[ItemT], PlaceT],
    disturb: Disturb,
) -> list[ItemT]:
    """Read page after page, and have something happen in between."""
    found: list[ItemT] = []
    after: PlaceT | None = None
    while page := await read(after):
        found += page
        after = place(page[-1])
        await disturb()
    return found


def everything_once(found: Sequence[Hashable], throughout: Sequence[Hashable]) -> None:
    assert len(set(found)) == len(found)
    assert set(throughout) <= set(found)


class Disturbing:
    """Stores, deletes and links what is not among what is to stay."""

    def __init__(self, engine: MemoryEngine, chances: Random) -> None:
        self._engine = engine
        self._chances = chances
        self.stay = [at(chances.randint(-9, 9), n) for n in range(8)]
        self.others = [at(chances.randint(-9, 9), n + 0.5) for n in range(8)]

    async def begin(self) -> None:
        await self._engine.store(NS, new(HUB))
        for each in (*self.stay, *self.others[::2]):
            await self._engine.store(NS, new(each))
            weight = self._chances.randint(0, 3)
            await self._engine.link(NS, HUB, each, weight=weight)
            await self._engine.link(NS, each, HUB, weight=weight)

    async def something(self) -> None:
        for _ in range(self._chances.randint(0, 4)):
            each = self._chances.choice(self.others)
            if self._chances.random() < 0.5:
                await self._engine.delete(NS, each)
            else:
                await self._engine.store(NS, new(each))
                await self._engine.link(NS, HUB, each, weight=self._chances.randint(0, 3))
        # What stays is written anew, which moves it nowhere.
        await self._engine.store(NS, new(self._chances.choice(self.stay)))


async def disturbed(seed: int, limit: int) -> None:
    chances = Random(seed)
    async with open_house() as house, house.open() as engine:
        disturbing = Disturbing(engine, chances)
        await disturbing.begin()

        ranged = await pages(
            lambda after: engine.range(NS, LOW, HIGH, after=after, limit=limit),
            lambda coordinate: coordinate,
            disturbing.something,
        )
        everything_once(ranged, disturbing.stay)
        assert ranged == sorted(ranged, key=lambda one: one.key)

        listed = await pages(
            lambda after: engine.list_memories(NS, after=after, limit=limit),
            lambda memory: memory.coordinate,
            disturbing.something,
        )
        everything_once([memory.coordinate for memory in listed], disturbing.stay)

        for direction in Direction:
            outgoing = direction is Direction.OUT

            async def read(after: LinkPlace | None, way: Direction = direction) -> Sequence[Link]:
                return await engine.neighbors(NS, HUB, direction=way, after=after, limit=limit)

            links = await pages(read, partial(Link.place, outgoing=outgoing), disturbing.something)
            ends = [link.place(outgoing=outgoing).neighbor for link in links]
            # What is linked anew may stand elsewhere.
            everything_once([end for end in ends if end in disturbing.stay], disturbing.stay)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 7))
def test_what_is_there_throughout_is_on_exactly_one_page(seed: int, limit: int) -> None:
    asyncio.run(disturbed(seed, limit))


@pytest.mark.parametrize("limit", [1, 3, 10])
async def test_pages_of_neighbors_are_those_of_one_answer(limit: int) -> None:
    chances = Random(limit)
    async with open_house() as house, house.open() as engine:
        await engine.store(NS, new(HUB))
        for number in range(1, 30):
            await engine.store(NS, new(at(number)))
            for kind in ("x", "y"):
                await engine.link(NS, HUB, at(number), type=kind, weight=chances.randint(0, 2))
        whole = await engine.neighbors(NS, HUB)

        async def nothing() -> None: ...

        found = await pages(
            lambda after: engine.neighbors(NS, HUB, after=after, limit=limit),
            lambda link: link.place(outgoing=True),
            nothing,
        )
        assert found == whole
        assert [link.weight for link in whole] == sorted(link.weight for link in whole)
        only = await engine.neighbors(NS, HUB, link_type="y", after=LinkPlace(1, at(0), "y"))
        assert only == [one for one in whole if one.type == "y" and one.weight >= 1]


async def test_history_goes_on_while_versions_are_added() -> None:
    async with open_house() as house, house.open(replace(SETTINGS, history_limit=50)) as engine:
        for number in range(10):
            await engine.store(NS, new(HUB, str(number)))

        async def another() -> None:
            await engine.store(NS, new(HUB, "another"))

        found = await pages(
            lambda before: engine.history(NS, HUB, before=before, limit=3),
            lambda memory: memory.version,
            another,
        )
        assert [memory.version for memory in found] == list(range(10, 0, -1))
        assert await engine.history(NS, HUB, before=1) == []
        assert await engine.history(NS, HUB, before=-5) == []


async def test_history_tells_no_version_twice_while_it_is_replaced() -> None:
    async with open_house() as house, house.open() as engine, house.open() as other:
        await engine.store(NS, new(HUB))

        async def look() -> None:
            versions = [memory.version for memory in await engine.history(NS, HUB)]
            assert versions == sorted(set(versions), reverse=True)

        for _ in range(50):
            await asyncio.gather(look(), other.store(NS, new(HUB)), look())


async def test_a_listing_can_be_narrowed_and_does_not_count_as_reading() -> None:
    async with open_house() as house, house.open() as engine:
        for number in range(600):
            kind = MemoryType.SEMANTIC if number % 100 == 0 else MemoryType.EPISODIC
            await engine.store(NS, new(at(number), type=kind))
        found = await engine.list_memories(NS, type=MemoryType.SEMANTIC)
        assert [memory.coordinate for memory in found] == [at(100 * n) for n in range(6)]
        await house.sweep()
        assert (await engine.access(NS, at(0))).count == 0


async def test_namespaces_come_page_by_page() -> None:
    async with open_house() as house, house.open() as engine:
        for name in ("b", "a", "c"):
            await engine.store(name, new(HUB))
        assert await engine.namespaces(limit=2) == ["a", "b"]
        assert await engine.namespaces(after="b", limit=2) == ["c"]
        assert await engine.namespaces(after="a") == ["b", "c"]


LISTING = ("range", "space", "0", "1", None)


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_a_cursor_is_read_back_for_its_own_listing_only(place: str) -> None:
    cursor = cursor_of(place, *LISTING)
    assert place_of(cursor, str, *LISTING) == place
    for other in (("memories", *LISTING[1:]), ("range", "other", *LISTING[2:]), LISTING[:-1]):
        with pytest.raises(InvalidCursorError):
            place_of(cursor, str, *other)


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: raw.hex()))
def test_a_text_that_is_no_cursor_is_refused(text: str) -> None:
    with pytest.raises(InvalidCursorError) as refused:
        place_of(text, str, *LISTING)
    assert refused.value.field == "cursor"


@given(st.data())
def test_a_cursor_that_was_changed_is_refused(data: st.DataObject) -> None:
    cursor = cursor_of("1.5,2", *LISTING)
    at_place = data.draw(st.integers(0, len(cursor) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_=").filter(lambda one: one != cursor[at_place]))
    with pytest.raises(InvalidCursorError):
        place_of(cursor[:at_place] + letter + cursor[at_place + 1 :], str, *LISTING)


def test_a_place_that_the_listing_cannot_read_is_refused() -> None:
    for text in ("", "one", "1,,2", "9" * 5000):
        with pytest.raises(InvalidCursorError):
            place_of(cursor_of(text, *LISTING), Coordinate.parse, *LISTING)
