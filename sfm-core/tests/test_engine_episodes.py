"""The words of a turn lend themselves to the turns after it, whatever happens to it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

from engine_house import NS, SETTINGS, House, at, new

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import Episode, NewMemory
from sfm_core.protocols.vector import VectorQuery
from sfm_core.settings import EngineSettings
from sfm_core.text.analysis import Analyzer

A, B = at(1), at(2)


def turn(coordinate: Coordinate, text: str, speaker: str = "ann") -> NewMemory:
    return NewMemory(coordinate=coordinate, payload={"speaker": speaker, "text": text})


async def by_word(house: House, word: str) -> set[Coordinate]:
    """Return which points have a word among their terms."""
    [result] = await house.vector.search(
        house.collection,
        [VectorQuery(namespace=NS, limit=100, terms=Analyzer("english").terms(word))],
    )
    return {hit.coordinate for hit in result.hits}


async def test_the_turns_after_a_turn_are_found_by_its_words(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store_many(
        NS, [turn(at(7, n), w) for n, w in enumerate(("zebra", "yak", "xerus", "wolf"))]
    )
    assert await by_word(house, "zebra") == {at(7, 0), at(7, 1), at(7, 2)}
    await engine.store(NS, turn(at(8, 0), "another conversation"))
    assert at(8, 0) not in await by_word(house, "wolf")


async def test_the_turns_after_a_turn_follow_its_update(house: House, engine: MemoryEngine) -> None:
    await engine.store_many(NS, [turn(at(7, n), w) for n, w in enumerate(("zebra", "yak"))])
    await engine.store(NS, turn(at(7, 0), "quagga"))
    assert await by_word(house, "zebra") == set()
    assert await by_word(house, "quagga") == {at(7, 0), at(7, 1)}


async def test_the_turns_after_a_turn_follow_its_deletion(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store_many(
        NS, [turn(at(7, n), w) for n, w in enumerate(("zebra", "yak", "xerus", "wolf"))]
    )
    await engine.delete(NS, at(7, 1))
    assert await by_word(house, "yak") == set()
    assert await by_word(house, "zebra") == {at(7, 0), at(7, 2), at(7, 3)}


async def test_a_turn_that_comes_in_between_lends_its_words(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store_many(NS, [turn(at(7, n), w) for n, w in ((0, "zebra"), (2, "yak"))])
    await engine.store(NS, turn(at(7, 1), "quagga"))
    assert await by_word(house, "quagga") == {at(7, 1), at(7, 2)}


async def test_the_turns_after_a_turn_notice_that_it_left_the_episode(
    house: House, engine: MemoryEngine
) -> None:
    def member(coordinate: Coordinate, text: str, name: str, order: float) -> NewMemory:
        return new(coordinate, text, episode=Episode(name=name, order=order))

    await engine.store(NS, member(A, "zebra", "one", 0))
    await engine.store(NS, member(B, "yak", "one", 1))
    assert await by_word(house, "zebra") == {A, B}
    await engine.store(NS, member(A, "zebra", "two", 0))
    assert await by_word(house, "zebra") == {A}


async def test_the_turns_after_a_turn_notice_that_it_was_swept(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store(NS, replace(turn(at(7, 0), "zebra"), ttl=timedelta(seconds=1)))
    await engine.store(NS, turn(at(7, 1), "yak"))
    assert await by_word(house, "zebra") == {at(7, 0), at(7, 1)}
    await house.sweep()
    assert await by_word(house, "zebra") == set()


async def test_turns_form_no_episodes_where_that_is_turned_off(house: House) -> None:
    async with house.open(EngineSettings(turns_form_episodes=False)) as engine:
        await engine.store_many(NS, [turn(at(7, n), w) for n, w in enumerate(("zebra", "yak"))])
        assert await by_word(house, "zebra") == {at(7, 0)}
        assert (await engine.get(NS, at(7, 0))).episode is None


async def test_a_thousand_turns_between_a_thousand_others_are_indexed(house: House) -> None:
    rule = replace(SETTINGS.text, context_weights=(0.5, 0.25, 0.2, 0.1))
    async with house.open(replace(SETTINGS, text=rule)) as engine:
        await engine.store_many(NS, [turn(at(n % 7, n), "even") for n in range(0, 2000, 2)])
        await engine.store_many(NS, [turn(at(n % 7, n), "odd") for n in range(1, 2000, 2)])
        assert len(await house.points()) == 2000
        await house.nothing_waits()


async def test_concurrent_turns_end_up_with_the_words_of_those_before_them(
    house: House, engine: MemoryEngine
) -> None:
    words = ("zebra", "yak", "xerus", "wolf", "vole", "urial", "tapir", "stoat")
    async with house.open() as other:
        await asyncio.gather(
            *(
                (engine, other)[n % 2].store(NS, turn(at(7, n), word))
                for n, word in enumerate(words)
            )
        )
    for n, word in enumerate(words):
        assert await by_word(house, word) == {at(7, n + k) for k in range(3) if n + k < len(words)}
