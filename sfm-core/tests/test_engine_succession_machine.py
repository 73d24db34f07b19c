"""Servers that are started, killed and paused on three truths, beside a model of what they said.

The law: a server that runs shows exactly what was acknowledged, and only one of
them takes writes; or the start is refused. A person may say otherwise, with
`--replace` or `--adopt`: then what stood in the truth that was named counts too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeAlias, TypeVar

from engine_house import NS, PATIENCE, at, new
from engine_town import PLACES, TICK, Town, url
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sfm_core.engine.changeover import LEASE, migrate, truths
from sfm_core.engine.manifest import peek_manifest
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.succession import reclaim
from sfm_core.errors import BackendError, ConfigurationError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import ACCESS
from sfm_core.testing.faults import Gate, Process

ResultT = TypeVar("ResultT")
Moment: TypeAlias = tuple[str, int, bool]
"""A store, which of the commits that a process makes there, and whether it is done by then."""

Content: TypeAlias = frozenset[tuple[str, bytes, int, bytes]]

COORDINATES = (at(0), at(1), at(2))
where = st.sampled_from(PLACES)
which = st.sampled_from(COORDINATES)
moments = st.tuples(where, st.integers(1, 14), st.booleans())


@dataclass
class Server:
    """A server that runs, with a process of its own."""

    engine: MemoryEngine
    process: Process
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)


@dataclass
class Paused:
    """A start, or a migration, that stands still in the middle."""

    task: asyncio.Task[object]
    gates: list[Gate]
    place: str
    starts: bool


class Servers(RuleBasedStateMachine):
    """Three truths, and whoever works on them."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.town = Town()
        self.allowed: set[Content] = {frozenset()}
        self.last = ""
        self.down: set[str] = set()
        self.servers: dict[str, Server] = {}
        self.paused: list[Paused] = []
        self.number = 0

    def do(self, work: Coroutine[object, object, ResultT]) -> ResultT:
        async def bounded() -> ResultT:
            async with asyncio.timeout(PATIENCE):
                return await work

        return self.runner.run(bounded())

    async def content(self, place: str) -> Content:
        found = await self.town.content(place)
        return frozenset(
            (namespace, *entry)
            for namespace, entries in found.items()
            for entry in entries
            if entry[0][:1] != ACCESS
        )

    async def half_copied(self, place: str) -> bool:
        async with self.town.kv(place) as kv:
            manifest = await peek_manifest(kv)
        return manifest is not None and manifest.taking_over is not None

    async def takes_writes(self, place: str) -> bool:
        async with self.town.kv(place) as kv:
            manifest = await peek_manifest(kv)
        return manifest is not None and manifest.takes_writes

    @initialize()
    def begin(self) -> None:
        self.do(self._start("a"))
        self.write("a", COORDINATES[0])

    @rule(place=where)
    def start(self, place: str) -> None:
        self.town.new_process()
        if place not in self.servers:
            self.do(self._start(place))

    @rule(place=where, moment=moments)
    def crash_in_a_start(self, place: str, moment: Moment) -> None:
        self._plan_crash(moment)
        if place not in self.servers:
            self.do(self._start(place))

    @precondition(lambda self: len(self.paused) < 2)
    @rule(place=where, moment=moments)
    def pause_in_a_start(self, place: str, moment: Moment) -> None:
        if place not in self.servers:
            work = self.town.starting(place, last=self.last)
            self._pause(work, place, moment, starts=True)

    @precondition(lambda self: len(self.paused) < 2)
    @rule(old=where, to=where, moment=moments)
    def pause_in_a_migration(self, old: str, to: str, moment: Moment) -> None:
        work = migrate(self.town.maker(), url(old), url(to))
        self._pause(work, to, moment, starts=False)

    def _pause(
        self, work: Coroutine[object, object, object], place: str, moment: Moment, *, starts: bool
    ) -> None:
        store, nth, after = moment
        self.town.new_process()
        plans = self.town.faults
        plan = plans[store]
        gate = (plan.hold_reply if after else plan.hold)("commit", nth=nth)

        async def until_it_stands() -> Paused:
            task = asyncio.ensure_future(work)
            reached = asyncio.ensure_future(gate.reached())
            while not (task.done() or reached.done()):
                await self.town.clock.advance(TICK)
            reached.cancel()
            # The process stands still as a whole, also where it renews what it holds.
            others = [one.hold("commit", times=None) for one in plans.values()]
            return Paused(task, [gate, *others], place, starts)

        self.paused.append(self.do(until_it_stands()))

    @precondition(lambda self: not self.paused)
    @rule(place=where, another=where, nth=st.integers(1, 14), coordinate=which)
    def overtake(self, place: str, another: str, nth: int, coordinate: Coordinate) -> None:
        for running in list(self.servers):
            self.stop(running)
        self.pause_in_a_start(place, (place, nth, False))
        self.start(another)
        self.write(another, coordinate)
        self.go_on()

    @precondition(lambda self: self.paused)
    @rule()
    def go_on(self) -> None:
        self.do(self._go_on(self.paused.pop(0)))

    async def _go_on(self, paused: Paused) -> None:
        for gate in paused.gates:
            gate.open()
        with suppress(BackendError, ConfigurationError):
            await self.town.while_time_passes(paused.task)
            # One that was superseded between its look at the truths and its first entry only reads.
            serves = paused.starts and paused.place not in self.servers
            if serves and await self.takes_writes(paused.place):
                self.town.new_process()
                await self._serve(paused.place)

    @rule(old=where, to=where, moment=st.none() | moments)
    def migrate(self, old: str, to: str, moment: Moment | None) -> None:
        self._plan_crash(moment)
        with suppress(BackendError, ConfigurationError):
            self.do(self._migrate(old, to))

    @precondition(lambda self: not self.servers and not self.paused)
    @rule(old=where, to=where, moment=st.none() | moments)
    def replace(self, old: str, to: str, moment: Moment | None) -> None:
        content = self.do(self.content(old))
        if old == to or not content or self.do(self.half_copied(old)):
            return
        self.allowed.add(content)
        self._plan_crash(moment)
        with suppress(BackendError, ConfigurationError):
            self.do(self._migrate(old, to, replace=True))

    @precondition(lambda self: not self.servers and not self.paused)
    @rule(place=where)
    def adopt(self, place: str) -> None:
        if place in self.down or self.do(self.half_copied(place)):
            return
        # One that holds nothing follows others, whatever a person says.
        if content := self.do(self.content(place)):
            self.do(self._adopt(place))
            self.allowed = {content}
            self.last = place

    @rule(place=where, coordinate=which)
    def write(self, place: str, coordinate: Coordinate) -> None:
        if place in self.servers:
            self.number += 1
            memory = new(coordinate, f"number {self.number}", ttl=timedelta(days=400))
            self.do(self._change(place, self.servers[place].engine.store(NS, memory)))

    @rule(place=where, coordinate=which)
    def delete(self, place: str, coordinate: Coordinate) -> None:
        if place in self.servers:
            self.do(self._change(place, self.servers[place].engine.delete(NS, coordinate)))

    async def _change(self, place: str, work: Coroutine[object, object, object]) -> None:
        before = await self.content(place)
        try:
            await work
        except BackendError:
            return
        after = await self.content(place)
        if after != before:  # to delete what is not there is only to read
            assert before in self.allowed, f"the server on {place} takes writes, but is old"
            self.allowed = {after}

    @rule(place=where)
    def stop(self, place: str) -> None:
        if place in self.servers:
            self.do(self.servers.pop(place).stack.aclose())

    @rule(place=where)
    def kill(self, place: str) -> None:
        if place in self.servers:
            self.servers[place].process.crashed = True
            self.stop(place)

    @rule(place=where)
    def lose_or_find(self, place: str) -> None:
        if place in self.down:
            self.town.resume(place)
        else:
            self.town.stop(place)
        self.down ^= {place}

    @rule(steps=st.integers(1, 30))
    def wait(self, steps: int) -> None:
        self.do(self.town.clock.advance(steps * LEASE / 15))

    def _plan_crash(self, moment: Moment | None) -> None:
        self.town.new_process()
        if moment is not None:
            store, nth, after = moment
            self.town.faults[store].crash("commit", nth=nth, after=after)

    async def _start(self, place: str) -> None:
        with suppress(BackendError, ConfigurationError):
            await self.town.start(place, last=self.last)
            await self._serve(place)

    async def _serve(self, place: str) -> None:
        process = self.town.new_process()
        stack = AsyncExitStack()
        server = Server(await stack.enter_async_context(self.town.engine(place)), process, stack)
        self.servers[place] = server
        shown = await self.content(place)
        assert shown in self.allowed, f"{place} does not show all there is"
        self.allowed = {shown}
        self.last = place

    async def _migrate(self, old: str, to: str, *, replace: bool = False) -> None:
        await self.town.while_time_passes(
            migrate(self.town.maker(), url(old), url(to), replace=replace)
        )

    async def _adopt(self, place: str) -> None:
        self.town.new_process()
        others = [url(other) for other in PLACES if other != place]
        async with truths(self.town.maker(), url(place), others) as (truth, found, _):
            await reclaim(truth, "a person", passing_over=found)

    @invariant()
    def memories_that_were_acknowledged_can_be_found(self) -> None:
        assert {self.do(self.content(place)) for place in PLACES} & self.allowed

    def teardown(self) -> None:
        try:
            for paused in self.paused:
                self.do(self._give_up(paused))
            for place in list(self.servers):
                self.kill(place)
        finally:
            self.runner.close()

    async def _give_up(self, paused: Paused) -> None:
        for gate in paused.gates:
            gate.open()
        paused.task.cancel()
        await asyncio.gather(paused.task, return_exceptions=True)


Servers.TestCase.settings = settings(
    max_examples=30, stateful_step_count=20, deadline=None, derandomize=True
)
TestServers = Servers.TestCase
