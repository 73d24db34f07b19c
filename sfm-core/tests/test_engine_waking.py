"""Engines that are told of work do it at once, and in their rounds all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest
import pytest_asyncio
from engine_house import INTERVAL, LEASE, NS, Faults, House, at, eventually, let_others_work

from sfm_core.engine.relay import POLL
from sfm_core.engine.sweeper import WAKE_GAP
from sfm_core.errors import BackendUnavailableError, ConfigurationError, SfmError, UnsupportedError
from sfm_core.inprocess.kv import InProcessKeyValueStore
from sfm_core.model.keys import memory_key
from sfm_core.protocols.kv import Commit
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import BackendContext, PortName, Registry
from sfm_core.testing.samples import event_note


class Bell:
    """Rings in every store that has it."""

    def __init__(self) -> None:
        self.rung = asyncio.Event()
        self.broken: SfmError | None = None
        self.waiting = 0

    async def wait(self) -> None:
        if self.broken:
            raise self.broken
        self.waiting += 1
        try:
            await self.rung.wait()
        finally:
            self.waiting -= 1
        self.rung.clear()


class WakingStore(InProcessKeyValueStore):
    """A store with a bell, which other processes share."""

    bell: Bell

    async def wait_for_work(self) -> None:
        await self.bell.wait()


class WakingHouse(House):
    """A house whose engines hear a bell."""

    def __init__(self) -> None:
        super().__init__()
        self.bell = Bell()

    def _registry(self, faults: Faults, installed: Sequence[str]) -> Registry:
        registry = Registry()
        for registration in super()._registry(faults, installed):
            if registration.port is PortName.KV:
                registry.add(replace(registration, factory=self._make))
            else:
                registry.add(registration)
        return registry

    def _make(self, url: str, context: BackendContext) -> Backend:  # noqa: ARG002 - a factory
        store = WakingStore(state=self._kv_state, clock=self.clock)
        store.bell = self.bell
        store.shared = True
        return store


@pytest_asyncio.fixture
async def house() -> AsyncGenerator[WakingHouse]:
    made = WakingHouse()
    async with made.kv, made.vector, made.graph, made.sink:
        yield made


async def log(house: House) -> None:
    """Have another process log an event."""
    commit = Commit(namespace=NS, events=(event_note(memory_key(at(1))),))
    await house.kv.commit([commit], owner="another", lease=LEASE)


async def leave(house: House) -> None:
    """Have another process leave a note that nobody holds."""
    commit = Commit(namespace=NS, dirty=(memory_key(at(1)),))
    await house.kv.commit([commit], owner="another", lease=-LEASE)


async def published(house: House, count: int) -> None:
    await eventually(lambda: len(house.sink.events) == count)


async def test_what_another_process_logs_is_published_as_soon_as_it_tells(
    house: WakingHouse,
) -> None:
    async with house.open(events=True):
        await eventually(lambda: house.bell.waiting == 1)
        await log(house)
        house.bell.rung.set()
        await published(house, 1)


async def test_what_another_process_leaves_is_taken_up_as_soon_as_it_tells(
    house: WakingHouse,
) -> None:
    async with house.open():
        await eventually(lambda: house.bell.waiting == 1)
        await leave(house)
        house.bell.rung.set()
        await house.nothing_waits()


async def test_what_comes_in_quick_succession_is_taken_up_together(house: WakingHouse) -> None:
    async with house.open():
        await eventually(lambda: house.bell.waiting == 1)
        await leave(house)
        house.bell.rung.set()
        await house.nothing_waits()
        for _ in range(2):
            await leave(house)
            house.bell.rung.set()
            await house.clock.advance(WAKE_GAP / 4)
        assert await house.outbox_depth() == 2
        await house.clock.advance(WAKE_GAP)
        await house.nothing_waits()


@pytest.mark.parametrize(
    "error",
    [
        BackendUnavailableError("It cannot be reached.", backend="memory"),
        UnsupportedError("It cannot be.", backend="memory"),
        ConfigurationError("The password was changed."),
    ],
)
async def test_who_cannot_be_told_looks_from_time_to_time(
    house: WakingHouse, error: SfmError
) -> None:
    house.bell.broken = error
    async with house.open(events=True):
        await log(house)
        await leave(house)
        await house.clock.advance(POLL)
        await published(house, 1)
        await house.sweep()
        await house.nothing_waits()


async def test_who_can_be_told_again_is(house: WakingHouse) -> None:
    house.bell.broken = BackendUnavailableError("It cannot be reached.", backend="memory")
    async with house.open(events=True):
        house.bell.broken = None
        await house.clock.advance(INTERVAL)
        await eventually(lambda: house.bell.waiting == 1)
        house.bell.rung.set()
        await let_others_work()
        await house.clock.advance(POLL)
        await eventually(lambda: house.bell.waiting == 1)
        await log(house)
        house.bell.rung.set()
        await published(house, 1)


async def test_rounds_go_on_while_nobody_tells(house: WakingHouse) -> None:
    async with house.open(events=True):
        await log(house)
        await leave(house)
        await house.sweep()
        await published(house, 1)
        await house.nothing_waits()
    assert house.bell.waiting == 0
