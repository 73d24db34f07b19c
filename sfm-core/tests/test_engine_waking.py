"""Engines that are told of work do it at once, and in their rounds all the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace

import pytest
import pytest_asyncio
from engine_house import NS, Faults, House, eventually

from sfm_core.engine.sweeper import WAKE_GAP
from sfm_core.errors import BackendUnavailableError, ConfigurationError, SfmError, UnsupportedError
from sfm_core.inprocess.kv import InProcessKeyValueStore
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import NewMemory
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import BackendContext, PortName, Registry


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
    """A store with a bell."""

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
        return store


@pytest_asyncio.fixture
async def house() -> AsyncGenerator[WakingHouse]:
    made = WakingHouse()
    async with made.kv, made.vector, made.graph, made.sink:
        yield made


def new(number: float) -> NewMemory:
    return NewMemory(coordinate=Coordinate((number,)), payload={"n": number})


async def published(house: House, count: int) -> None:
    await eventually(lambda: len(house.sink.events) >= count)


async def test_events_are_published_as_soon_as_somebody_tells(house: WakingHouse) -> None:
    async with house.open(events=True) as engine:
        await eventually(lambda: house.bell.waiting == 1)
        for number in (1, 2):
            await engine.store(NS, new(number))
            house.bell.rung.set()
            await published(house, number)
            await house.clock.advance(WAKE_GAP)


async def test_what_comes_in_quick_succession_is_done_together(house: WakingHouse) -> None:
    async with house.open(events=True) as engine:
        await engine.store(NS, new(1))
        house.bell.rung.set()
        await published(house, 1)
        await engine.store(NS, new(2))
        house.bell.rung.set()
        await asyncio.sleep(0.05)
        assert len(house.sink.events) == 1
        await house.clock.advance(WAKE_GAP)
        await published(house, 2)


@pytest.mark.parametrize(
    "error",
    [
        BackendUnavailableError("It cannot be reached.", backend="memory"),
        UnsupportedError("It cannot be.", backend="memory"),
        ConfigurationError("The password was changed."),
    ],
)
async def test_who_cannot_be_told_looks_in_its_rounds(house: WakingHouse, error: SfmError) -> None:
    house.bell.broken = error
    async with house.open(events=True) as engine:
        await engine.store(NS, new(1))
        await house.sweep()
        assert len(house.sink.events) == 1


async def test_rounds_go_on_while_nobody_tells(house: WakingHouse) -> None:
    async with house.open(events=True) as engine:
        await engine.store(NS, new(1))
        await house.sweep()
        assert len(house.sink.events) == 1
    assert house.bell.waiting == 0
