"""What the truth held at an earlier time, or that nobody knows any more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta
from random import Random

import pytest
from engine_house import NS, SETTINGS, House, at, new

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import HistoryGoneError, InvalidInputError, NotFoundError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import MemoryType

A, B = at(1), at(2)
SECOND = timedelta(seconds=1)
KEEPING = replace(SETTINGS, history_limit=300)


@pytest.fixture
async def engine(house: House) -> AsyncIterator[MemoryEngine]:
    async with house.open(KEEPING) as made:
        yield made


async def text_at(engine: MemoryEngine, when: datetime, where: Coordinate = A) -> object:
    """Return what a memory said at a time; `None` if there was none, "?" if nobody knows."""
    try:
        return (await engine.get(NS, where, as_of=when)).payload["text"]
    except NotFoundError:
        return None
    except HistoryGoneError:
        return "?"


async def moments(house: House, count: int) -> list[datetime]:
    """Let time pass, and return every second of it."""
    start = house.clock.now()
    await house.clock.advance(count * SECOND)
    return [start + step * SECOND for step in range(count)]


async def test_each_version_is_there_for_its_time(house: House, engine: MemoryEngine) -> None:
    before = await moments(house, 2)
    told: list[tuple[datetime, str]] = []
    for text in ("one", "two", "three"):
        await engine.store(NS, new(A, text))
        told += [(moment, text) for moment in await moments(house, 2)]
    assert [await text_at(engine, moment) for moment in before] == [None, None]
    for moment, text in told:
        assert await text_at(engine, moment) == text
    assert await text_at(engine, house.clock.now() + SECOND) == "three"


async def test_what_was_deleted_was_there_before(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(A, "one"))
    alive = await moments(house, 2)
    await engine.delete(NS, A)
    dead = await moments(house, 2)
    assert [await text_at(engine, moment) for moment in alive] == ["one", "one"]
    assert [await text_at(engine, moment) for moment in dead] == [None, None]


async def test_when_it_was_deleted_is_not_known_once_it_lives_again(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(A, "one"))
    await moments(house, 1)
    await engine.store(NS, new(A, "two"))
    first = await moments(house, 1)
    await engine.delete(NS, A)
    dead = await moments(house, 1)
    await engine.store(NS, new(A, "reborn"))
    assert await text_at(engine, first[0] - SECOND) == "one"
    assert [await text_at(engine, moment) for moment in (*first, *dead)] == ["?", "?"]
    assert await text_at(engine, house.clock.now()) == "reborn"


async def test_what_expired_was_there_until_then(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(A, "brief", ttl=2 * SECOND))
    times = await moments(house, 4)
    expected = ["brief", "brief", None, None]
    assert [await text_at(engine, moment) for moment in times] == expected
    await engine.store(NS, new(A, "reborn"))
    assert [await text_at(engine, moment) for moment in times] == expected


async def test_beyond_the_history_that_is_kept_nothing_is_told(house: House) -> None:
    times: list[datetime] = []
    async with house.open(replace(SETTINGS, history_limit=2)) as engine:
        for number in range(5):
            await engine.store(NS, new(A, str(number)))
            times += await moments(house, 1)
        told = [await text_at(engine, moment) for moment in times]
        assert told == ["?", "?", "2", "3", "4"]
        with pytest.raises(HistoryGoneError):
            await engine.range(NS, A, B, as_of=times[0])
        assert await engine.range(NS, B, B, as_of=times[0]) == []


async def test_more_versions_than_are_read_at_once_are_searched(
    house: House, engine: MemoryEngine
) -> None:
    start = house.clock.now()
    for number in range(250):
        await engine.store(NS, new(A, str(number)))
        await house.clock.advance(SECOND)
    for number in (0, 49, 99, 100, 149, 150, 249):
        assert await text_at(engine, start + number * SECOND) == str(number)
    assert await text_at(engine, start - SECOND) is None


async def test_a_range_is_as_it_was(house: House, engine: MemoryEngine) -> None:
    chances = Random(3)
    places = [at(number) for number in range(8)]
    living: dict[Coordinate, MemoryType] = {}
    told: list[tuple[datetime, dict[Coordinate, MemoryType]]] = []
    gone: set[Coordinate] = set()
    for _ in range(60):
        place = chances.choice(places)
        if place in living and chances.random() < 0.15:
            await engine.delete(NS, place)
            del living[place]
            gone.add(place)
        elif place not in gone:
            living[place] = chances.choice(list(MemoryType))
            await engine.store(NS, new(place, type=living[place]))
        told.append((house.clock.now(), dict(living)))
        await house.clock.advance(SECOND)
    for moment, then in told:
        for kind in (None, *MemoryType):
            found = await engine.range(NS, places[0], places[-1], type=kind, as_of=moment)
            assert found == [p for p in places if p in then and kind in {None, then[p]}]
    moment, then = told[-20]
    first = await engine.range(NS, places[0], places[-1], limit=2, as_of=moment)
    rest = await engine.range(NS, places[0], places[-1], after=first[-1], as_of=moment)
    assert first + rest == [place for place in places if place in then]


async def test_looking_back_does_not_count_as_reading(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(A))
    await engine.get(NS, A, as_of=house.clock.now())
    await house.sweep()
    assert (await engine.access(NS, A)).count == 0


async def test_a_time_without_a_zone_is_refused(engine: MemoryEngine) -> None:
    for call in (
        engine.get(NS, A, as_of=datetime(2026, 1, 1)),  # noqa: DTZ001 - that is the point
        engine.range(NS, A, B, as_of=datetime(2026, 1, 1)),  # noqa: DTZ001 - as above
    ):
        with pytest.raises(InvalidInputError) as refused:
            await call
        assert refused.value.field == "as_of"
