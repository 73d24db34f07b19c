"""Random operations, faults and restarts on two engines beside a model of plain dictionaries.

The law: what was acknowledged is there; what was deleted or has expired is never
returned; and once the faults are over, everything derived equals the truth.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from engine_house import LEASE, NS, PATIENCE, SETTINGS, Faults, House, ask, at, new, open_house
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import BackendUnavailableError, NotFoundError, VersionConflictError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import Episode
from sfm_core.protocols.graph import Direction
from sfm_core.testing.faults import FaultPlan

ResultT = TypeVar("ResultT")
LinkName = tuple[Coordinate, Coordinate, str]

COORDINATES = (at(0), at(1), at(-1, 2), at(1, 5))
WORDS = ("whale", "zebra", "yak")
QUIET = timedelta(minutes=6)
RARELY = replace(SETTINGS, sweep_interval=timedelta(seconds=30))
OUTAGES = (
    ("vector", "upsert"),
    ("vector", "delete"),
    ("graph", "apply"),
    ("embedder", "embed"),
    ("kv", "acknowledge"),
    ("kv", "release"),
    ("kv", "claim"),
)
where = st.sampled_from(COORDINATES)
which = st.integers(0, 1)
kinds = st.sampled_from(("x", "y"))


@dataclass
class Life:
    """What the model knows of one coordinate."""

    number: int = 0
    version: int = 0
    word: str | None = None
    expires_at: datetime | None = None

    def alive(self, now: datetime) -> bool:
        return self.word is not None and (self.expires_at is None or self.expires_at > now)


@dataclass
class LinkModel:
    """A link, and the lives of its ends that it belongs to."""

    weight: float
    lives: tuple[int, int]


class Engines(RuleBasedStateMachine):
    """Two engines that share everything but their faults."""

    engine_settings = RARELY

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.lives = {coordinate: Life() for coordinate in COORDINATES}
        self.links: dict[LinkName, LinkModel] = {}
        self.house: House
        self.faults: list[Faults] = []
        self.engines: list[MemoryEngine] = []

    def do(self, work: Coroutine[object, object, ResultT]) -> ResultT:
        async def bounded() -> ResultT:
            async with asyncio.timeout(PATIENCE):
                return await work

        return self.runner.run(bounded())

    @property
    def now(self) -> datetime:
        return self.house.clock.now()

    def living(self) -> set[Coordinate]:
        return {c for c, life in self.lives.items() if life.alive(self.now)}

    def living_links(self) -> dict[LinkName, float]:
        living = self.living()
        return {
            name: link.weight
            for name, link in self.links.items()
            if {name[0], name[1]} <= living
            and link.lives == (self.lives[name[0]].number, self.lives[name[1]].number)
        }

    @initialize()
    def open(self) -> None:
        self.house = self.do(self.stack.enter_async_context(open_house()))
        self.do(self._start())

    async def _start(self) -> None:
        self.faults = [Faults(), Faults()]
        self.engine_stack = AsyncExitStack()
        self.engines = [
            await self.engine_stack.enter_async_context(
                self.house.open(self.engine_settings, faults=faults)
            )
            for faults in self.faults
        ]

    @rule()
    def restart(self) -> None:
        self.do(self._restart())

    async def _restart(self) -> None:
        await self.engine_stack.aclose()
        await self._start()

    @rule(by=which, c=where, word=st.sampled_from(WORDS), ttl=st.sampled_from((None, None, 3, 60)))
    def store(self, by: int, c: Coordinate, word: str, ttl: int | None) -> None:
        length = None if ttl is None else timedelta(seconds=ttl)
        stored = self.do(self.engines[by].store(NS, new(c, word, ttl=length)))
        self._stored(c, word, length, stored.version)

    @rule(by=which, c=where, word=st.sampled_from(WORDS), order=st.integers(0, 3))
    def store_in_an_episode(self, by: int, c: Coordinate, word: str, order: int) -> None:
        episode = Episode(name="tale", order=order)
        stored = self.do(self.engines[by].store(NS, new(c, word, episode=episode)))
        self._stored(c, word, None, stored.version)

    @rule(by=which, c=where, word=st.sampled_from(WORDS))
    def store_expecting_what_is_there(self, by: int, c: Coordinate, word: str) -> None:
        expected = self._version(c)
        stored = self.do(self.engines[by].store(NS, new(c, word, expected_version=expected)))
        self._stored(c, word, None, stored.version)

    @rule(by=which, c=where, off=st.sampled_from((1, 2)))
    def store_expecting_something_else(self, by: int, c: Coordinate, off: int) -> None:
        actual = self._version(c)
        with pytest.raises(VersionConflictError) as refusal:
            self.do(self.engines[by].store(NS, new(c, expected_version=actual + off)))
        assert refusal.value.actual == actual

    def _version(self, c: Coordinate) -> int:
        return self.lives[c].version if c in self.living() else 0

    @rule(by=which, c=where, word=st.sampled_from(WORDS))
    def store_without_a_reply(self, by: int, c: Coordinate, word: str) -> None:
        self.faults[by].kv.lose_reply("commit")
        try:
            stored = self.do(self.engines[by].store(NS, new(c, word)))
        except BackendUnavailableError:
            # The write has happened, unless it met a conflict first and the reply was that.
            [memory] = self.do(self.engines[1 - by].get_many(NS, [c]))
            if memory is not None and memory.version != self.lives[c].version:
                assert memory.payload == {"text": word}
                self._stored(c, word, None, memory.version)
        else:
            self._stored(c, word, None, stored.version)

    def _stored(self, c: Coordinate, word: str, ttl: timedelta | None, version: int) -> None:
        life = self.lives[c]
        assert version > life.version
        if not life.alive(self.now):
            life.number += 1
        life.version, life.word = version, word
        life.expires_at = None if ttl is None else self.now + ttl

    @rule(writes=st.lists(st.tuples(which, where, st.sampled_from(WORDS)), min_size=2, max_size=6))
    def store_at_once(self, writes: list[tuple[int, Coordinate, str]]) -> None:
        async def together() -> list[tuple[int, Coordinate, str]]:
            stored = await asyncio.gather(
                *(self.engines[by].store(NS, new(c, word)) for by, c, word in writes)
            )
            return sorted(
                (made.version, c, word) for made, (_, c, word) in zip(stored, writes, strict=True)
            )

        for version, c, word in self.do(together()):
            self._stored(c, word, None, version)

    @rule(by=which, c=where)
    def delete(self, by: int, c: Coordinate) -> None:
        existed = self.do(self.engines[by].delete(NS, c))
        life = self.lives[c]
        assert bool(existed) == life.alive(self.now)
        if existed:
            life.word, life.version = None, life.version + 1

    @rule(by=which, ends=st.tuples(where, where), kind=kinds, weight=st.integers(0, 3))
    def link(self, by: int, ends: tuple[Coordinate, Coordinate], kind: str, weight: int) -> None:
        source, target = ends
        try:
            self.do(self.engines[by].link(NS, source, target, type=kind, weight=weight))
        except NotFoundError:
            assert not {source, target} <= self.living()
        else:
            lives = self.lives[source].number, self.lives[target].number
            self.links[source, target, kind] = LinkModel(weight, lives)
            assert (source, target, kind) in self.living_links()

    @rule(by=which, ends=st.tuples(where, where), kind=kinds)
    def unlink(self, by: int, ends: tuple[Coordinate, Coordinate], kind: str) -> None:
        source, target = ends
        existed = self.do(self.engines[by].unlink(NS, source, target, type=kind))
        assert bool(existed) == ((source, target, kind) in self.living_links())
        if existed:
            del self.links[source, target, kind]

    @rule(by=which, outage=st.sampled_from(OUTAGES))
    def break_something(self, by: int, outage: tuple[str, str]) -> None:
        port, method = outage
        plan: FaultPlan = getattr(self.faults[by], port)
        plan.fail(method, times=None)

    @rule(by=which, outage=st.sampled_from(OUTAGES))
    def lose_a_reply(self, by: int, outage: tuple[str, str]) -> None:
        port, method = outage
        plan: FaultPlan = getattr(self.faults[by], port)
        plan.lose_reply(method)

    @rule(by=which)
    def mend(self, by: int) -> None:
        self.faults[by].clear()

    @rule(seconds=st.sampled_from((0.5, 2.0, 5.0, 31.0)))
    def wait(self, seconds: float) -> None:
        self.do(self.house.sweep(timedelta(seconds=seconds)))

    @rule(by=which, word=st.sampled_from(WORDS))
    def recall(self, by: int, word: str) -> None:
        try:
            answers = self.do(self.engines[by].recall(NS, ask(word, 10)))
        except BackendUnavailableError:
            return
        for answer in answers:
            life = self.lives[answer.memory.coordinate]
            assert life.alive(self.now)
            assert (answer.memory.version, answer.memory.payload) == (
                life.version,
                {"text": life.word},
            )

    @rule(by=which, c=where, direction=st.sampled_from(list(Direction)))
    def neighbors(self, by: int, c: Coordinate, direction: Direction) -> None:
        links = self.do(self.engines[by].neighbors(NS, c, direction=direction))
        living = self.living_links()
        for link in links:
            assert living[link.source, link.target, link.type] == link.weight
            assert c == (link.source if direction is Direction.OUT else link.target)

    @precondition(lambda self: self.engines)
    @rule(by=which)
    def come_to_rest(self, by: int) -> None:
        for faults in self.faults:
            faults.clear()
        self.do(self.house.sweep(LEASE))
        self.do(self.house.sweep(QUIET))
        engine = self.engines[by]
        assert self.do(self.house.outbox_depth()) == 0
        report = self.do(engine.check())
        assert report.consistent, report
        living, links = self.living(), self.living_links()
        assert self.do(self.house.points()) == {c: self.lives[c].version for c in living}
        assert self.do(self.house.edges()) == {(s, kind, t) for s, t, kind in links}
        stats = self.do(engine.stats(NS))
        assert (stats.total_memories, stats.links) == (len(living), len(links))
        for word in WORDS:
            answers = self.do(engine.recall(NS, ask(word, 10)))
            assert {a.memory.coordinate for a in answers} == living

    @invariant()
    def what_is_read_is_what_was_acknowledged(self) -> None:
        if not self.engines:
            return
        for engine in self.engines:
            memories = self.do(engine.get_many(NS, COORDINATES))
            for c, memory in zip(COORDINATES, memories, strict=True):
                life = self.lives[c]
                expected = life.word if life.alive(self.now) else None
                assert (memory and memory.payload["text"]) == expected
                assert memory is None or memory.version == life.version
        ranged = self.do(self.engines[0].range(NS, at(-9), at(9)))
        assert set(ranged) == {c for c in self.living() if len(c.components) == 1}

    def teardown(self) -> None:
        try:
            if self.engines:
                self.do(self.engine_stack.aclose())
            self.do(self.stack.aclose())
        finally:
            self.runner.close()
