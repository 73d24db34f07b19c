"""A stream, consumers of it, and handlers that write down what they are given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from types import TracebackType
from typing import Self

from sfm_core.engine.consuming.consumer import BATCH, Consumer
from sfm_core.errors import SfmError
from sfm_core.inprocess.events import EventStreamState, InProcessEventSink, InProcessEventSource
from sfm_core.model.events import Event
from sfm_core.protocols.handler import EventHandler
from sfm_core.protocols.source import DeadLetter, EventSource
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.faults import FaultPlan, faulty
from sfm_core.testing.samples import coordinate, event

NS = "house"
PATIENCE = 60.0
LONG = timedelta(seconds=30)
"""No pause between two tries is longer."""

Judge = Callable[[Event], SfmError | None]


class Notebook:
    """A handler that notes every batch; which of its calls go wrong is planned.

    Attributes:
        plan: What happens to calls of `handle`.
        batches: The events of each call that had its effect.
        opened: How often it was opened, and not closed since.
    """

    def __init__(self, judge: Judge | None = None, *, plan: FaultPlan | None = None) -> None:
        self.plan = plan or FaultPlan()
        self.batches: list[list[Event]] = []
        self.opened = 0
        self._judge = judge

    @property
    def events(self) -> list[Event]:
        """Everything it was given, in order."""
        return [one for batch in self.batches for one in batch]

    async def __aenter__(self) -> Self:
        await self.plan.run("open", self._open)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.opened -= 1

    async def handle(self, events: Sequence[Event]) -> list[SfmError | None]:
        await self.plan.run("handle", partial(self._note, events))
        return [self._judge(one) if self._judge else None for one in events]

    async def _open(self) -> None:
        self.opened += 1

    async def _note(self, events: Sequence[Event]) -> None:
        self.batches.append(list(events))


class Stream:
    """A stream and who reads it.

    Attributes:
        clock: The clock of every consumer.
        plan: What happens to calls of the source of every consumer.
    """

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.plan = FaultPlan()
        self._state = EventStreamState()

    def source(self) -> EventSource:
        """Return a source that is not open, whose calls go as planned."""
        return faulty(InProcessEventSource(state=self._state, clock=self.clock), self.plan)

    def consumer(self, *handlers: EventHandler, batch: int = BATCH) -> Consumer:
        """Return a consumer that does not run, with handlers called `h1`, `h2` and so on."""
        made: dict[str, Callable[[], EventHandler]] = {
            f"h{number}": partial(_itself, handler) for number, handler in enumerate(handlers, 1)
        }
        return Consumer(self.source, made, clock=self.clock, batch=batch)

    @asynccontextmanager
    async def running(self, consumer: Consumer) -> AsyncGenerator[asyncio.Task[None]]:
        """Run a consumer, and have it stop in good order at the end."""
        task = asyncio.create_task(consumer.run())
        try:
            yield task
            consumer.stop()
            async with asyncio.timeout(PATIENCE):
                await task
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def publish(self, events: Iterable[Event]) -> None:
        """Put events on the stream."""
        async with InProcessEventSink(state=self._state) as sink:
            await sink.publish(list(events))

    async def letters(self) -> list[DeadLetter]:
        """Return the dead letters."""
        async with InProcessEventSource(state=self._state) as source:
            return await source.dead_letters(limit=1000)

    async def unfinished(self) -> list[Event]:
        """Return what the next member of the group would be given."""
        async with InProcessEventSource(state=self._state) as source:
            found = await source.receive(limit=1000, wait=timedelta(milliseconds=10))
        return [one.event for one in found if one.event is not None]

    async def until(self, condition: Callable[[], bool]) -> None:
        """Let consumers work, and time pass for those who pause, until something holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                await asyncio.sleep(0.0005)
                await self.clock.advance(LONG)


def versions(*numbers: int, place: float = 1.0) -> list[Event]:
    """Return events of one memory."""
    return [event(NS, coordinate(place), number, {"n": number}) for number in numbers]


def _itself(handler: EventHandler) -> EventHandler:
    return handler
