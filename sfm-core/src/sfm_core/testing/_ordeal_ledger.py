"""What an engine was asked, what it answered, and what may therefore be there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import product
from random import Random
from typing import Final, TypeVar

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import BackendError, NotFoundError, VersionConflictError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import NewMemory
from sfm_core.model.query import RecallQuery
from sfm_core.registry import ENGINE_PORTS

AnswerT = TypeVar("AnswerT")

_NAMESPACE: Final = "ordeal"
_PLACES: Final = tuple(Coordinate.of([float(number)]) for number in range(5))
_WORDS: Final = ("whale", "zebra", "yak", "heron")
_ENDS: Final = tuple(product(_PLACES[:3], _PLACES[:3]))


class Ledger:
    """Asks at random. For each place it keeps every word that may stand there, or `None`.

    An acknowledged write leaves one possibility; one that failed adds its own
    to those before. Whatever is read must be possible, and is certain from then on.
    """

    def __init__(self, seed: int) -> None:
        """Begin with nothing.

        Args:
            seed: Which operations.
        """
        self._random = Random(seed)
        self._words: dict[Coordinate, set[str | None]] = {place: {None} for place in _PLACES}
        self._links: dict[tuple[Coordinate, Coordinate], set[bool]] = {
            ends: {False} for ends in _ENDS
        }

    async def step(self, engine: MemoryEngine) -> None:
        """Do one operation, which may fail."""
        steps: tuple[Callable[[MemoryEngine], Awaitable[None]], ...] = (
            self._store,
            self._store,
            self._store_knowing,
            self._delete,
            self._link,
            self._unlink,
            self._read,
            self._recall,
            self._look_around,
            self._ask_how_it_is,
            self._ask_how_it_is,
        )
        await self._random.choice(steps)(engine)

    async def settle(self, engine: MemoryEngine) -> None:
        """Compare everything, once nothing goes wrong any more.

        Args:
            engine: An engine whose outbox is empty.

        Raises:
            AssertionError: Something is lost, left over, or differs from the truth.
        """
        report = await engine.check()
        assert report.consistent, report
        living = set(await self.versions(engine))
        for word in _WORDS:
            query = RecallQuery(text=word, top_k=2 * len(_PLACES))
            recalled = await engine.recall(_NAMESPACE, query)
            assert {one.memory.coordinate for one in recalled} == living
        for ends in _ENDS:
            assert await _linked(engine, ends) in self._links[ends]
        assert (await engine.stats(_NAMESPACE)).total_memories == len(living)

    async def versions(self, engine: MemoryEngine) -> dict[Coordinate, int]:
        """Return the version of every memory that is there, which must be a possible one."""
        found = await engine.get_many(_NAMESPACE, _PLACES)
        for place in _PLACES:
            await self._word_at(engine, place)
        return {memory.coordinate: memory.version for memory in found if memory}

    async def _store(self, engine: MemoryEngine) -> None:
        place, word = self._random.choice(_PLACES), self._random.choice(_WORDS)
        await self._write(engine, place, word, expected=None)

    async def _store_knowing(self, engine: MemoryEngine) -> None:
        """Write only over the version that was read."""
        place, word = self._random.choice(_PLACES), self._random.choice(_WORDS)
        found = await _tried(engine.get_many(_NAMESPACE, [place]))
        if found is not None:
            [memory] = found
            await self._write(engine, place, word, expected=memory.version if memory else 0)

    async def _write(
        self, engine: MemoryEngine, place: Coordinate, word: str, *, expected: int | None
    ) -> None:
        memory = NewMemory(coordinate=place, payload={"text": word}, expected_version=expected)
        if await _tried(engine.store(_NAMESPACE, memory)) is None:
            self._words[place].add(word)
        else:
            self._words[place] = {word}

    async def _delete(self, engine: MemoryEngine) -> None:
        place = self._random.choice(_PLACES)
        gone = await _tried(engine.delete(_NAMESPACE, place))
        if gone is None:
            self._words[place].add(None)
        else:
            assert (self._words[place] - {None}) if gone else (None in self._words[place])
            self._words[place] = {None}
        for ends, possible in self._links.items():
            if place in ends:
                self._links[ends] = {False} if gone is not None else possible | {False}

    async def _link(self, engine: MemoryEngine) -> None:
        ends = self._random.choice(_ENDS)
        try:
            linked = await _tried(engine.link(_NAMESPACE, *ends))
        except NotFoundError:
            assert any(None in self._words[end] for end in ends)
            return
        if linked is None:
            self._links[ends] |= {True}
        else:
            self._links[ends] = {True}
            for end in ends:
                self._words[end].discard(None)

    async def _unlink(self, engine: MemoryEngine) -> None:
        ends = self._random.choice(_ENDS)
        gone = await _tried(engine.unlink(_NAMESPACE, *ends))
        if gone is None:
            self._links[ends] |= {False}
        else:
            assert bool(gone) in self._links[ends]
            self._links[ends] = {False}

    async def _read(self, engine: MemoryEngine) -> None:
        await _tried(self._word_at(engine, self._random.choice(_PLACES)))

    async def _recall(self, engine: MemoryEngine) -> None:
        query = RecallQuery(text=self._random.choice(_WORDS), top_k=3)
        for recalled in await _tried(engine.recall(_NAMESPACE, query)) or []:
            word = recalled.memory.payload["text"]
            assert word in self._words[recalled.memory.coordinate]

    async def _look_around(self, engine: MemoryEngine) -> None:
        """A graph that is behind may lack a link; it never has one that is gone."""
        ends = self._random.choice(_ENDS)
        if await _tried(_linked(engine, ends)):
            assert True in self._links[ends]
            self._links[ends] = {True}

    async def _ask_how_it_is(self, engine: MemoryEngine) -> None:
        """A backend that fails is an answer, and no reason to fail."""
        health = await engine.health()
        assert len(health.ports) == len(ENGINE_PORTS)

    async def _word_at(self, engine: MemoryEngine, place: Coordinate) -> str | None:
        [memory] = await engine.get_many(_NAMESPACE, [place])
        word = str(memory.payload["text"]) if memory else None
        assert word in self._words[place]
        self._words[place] = {word}
        if word is None:
            for ends in _ENDS:
                if place in ends:
                    self._links[ends] = {False}
        return word


async def _linked(engine: MemoryEngine, ends: tuple[Coordinate, Coordinate]) -> bool:
    links = await engine.neighbors(_NAMESPACE, ends[0])
    return any(link.target == ends[1] for link in links)


async def _tried(work: Awaitable[AnswerT]) -> AnswerT | None:
    """Return the answer, or `None` where the engine said that a backend failed."""
    try:
        return await work
    except (BackendError, VersionConflictError):
        return None
