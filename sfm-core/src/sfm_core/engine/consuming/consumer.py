"""The consumer: takes events from a stream to handlers, each at least once, in order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from datetime import timedelta
from functools import partial
from typing import TypeVar

from sfm_core.clock import Clock
from sfm_core.engine.consuming.persistence import Persistence, StoppedError
from sfm_core.engine.consuming.rejecting import Rejections
from sfm_core.engine.consuming.statistics import Statistics
from sfm_core.errors import ClosedError, PluginError, SfmError
from sfm_core.model.events import Event
from sfm_core.protocols.handler import EventHandler
from sfm_core.protocols.observer import UNOBSERVED, Observer
from sfm_core.protocols.source import Delivery, EventSource

log = logging.getLogger(__name__)

BATCH = 500
SOURCE = "source"
"""What the source is called in statistics; no handler can be called so."""

WAIT = timedelta(seconds=1)
"""How long one call waits for events."""

LAG_INTERVAL = timedelta(seconds=5)

OpenT = TypeVar("OpenT")


class Consumer:
    """Receives, hands over, sets aside, acknowledges; and so on until it is told to stop.

    A batch is acknowledged once every handler is done with it, so where a
    process dies in between it is handed out again. Whatever may work later is
    tried until it does, with the batch kept; every other error ends `run`.

    Attributes:
        statistics: What it has done and how it does.
    """

    def __init__(
        self,
        make_source: Callable[[], EventSource],
        handlers: Mapping[str, Callable[[], EventHandler]],
        *,
        clock: Clock,
        batch: int = BATCH,
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Open nothing yet.

        Args:
            make_source: Makes the source; called again where opening one fails.
            handlers: What makes each handler, by its name. Every event goes to
                one handler after the other.
            clock: Source of time.
            batch: Most events in hand at once, 1 to `MAX_BATCH`.
            observer: Who is told of each batch.
        """
        self._make_source = make_source
        self._make_handlers = handlers
        self._clock = clock
        self._batch = batch
        self._observer = observer
        self.statistics = Statistics()
        self._persistence = Persistence(clock, self.statistics)
        self._source: EventSource | None = None

    async def run(self) -> None:
        """Consume until `stop` is called.

        Raises:
            SfmError: Something failed that no repetition mends. The batch in
                hand is not acknowledged.
        """
        try:
            async with AsyncExitStack() as stack:
                handlers = {
                    name: await self._open(stack, name, make)
                    for name, make in self._make_handlers.items()
                }
                # Opened last and so closed first: the others go on with what is not acknowledged.
                self._source = source = await self._open(stack, SOURCE, self._make_source)
                stack.push_async_callback(_cancel, asyncio.create_task(self._watch(source)))
                self.statistics.consuming = True
                while not self._persistence.stopping:
                    await self._round(source, handlers)
        except StoppedError:
            log.info("stopped before everything in hand was done; it will be handed out again")
        finally:
            self._source = None
            self.statistics.consuming = False

    async def ping(self) -> None:
        """Ask the source whether it is there.

        Raises:
            BackendError: It is not.
            ClosedError: Nothing is open, not yet or not any more.
        """
        if self._source is None:
            raise ClosedError("The consumer is starting or stopping.")
        await self._source.ping()

    def stop(self) -> None:
        """Finish the batch in hand and end; what fails from now on is not tried again."""
        self._persistence.stop()

    async def _open(
        self,
        stack: AsyncExitStack,
        name: str,
        make: Callable[[], AbstractAsyncContextManager[OpenT]],
    ) -> OpenT:
        async def attempt() -> OpenT:
            return await stack.enter_async_context(make())

        return await self._persistence.until_done(name, attempt)

    async def _round(self, source: EventSource, handlers: Mapping[str, EventHandler]) -> None:
        deliveries = await self._receive(source)
        if not deliveries:
            return
        began = self._clock.monotonic()
        self.statistics.received += len(deliveries)
        rejections = Rejections(deliveries)
        taken = [(one, one.event) for one in deliveries if one.event is not None]
        for name, handler in handlers.items():
            events = [event for _, event in taken]
            outcomes = await self._hand_over(name, handler, events)
            for (delivery, _), outcome in zip(taken, outcomes, strict=True):
                if outcome is not None:
                    rejections.add(delivery, name, outcome)
            self.statistics.handled[name] += outcomes.count(None)
        await self._set_aside(source, rejections)
        await self._persistence.until_done(SOURCE, lambda: source.acknowledge(deliveries))
        self._note_batch([event for _, event in taken], began)

    async def _receive(self, source: EventSource) -> list[Delivery]:
        """Wait for events, or for the word to stop."""
        work = asyncio.ensure_future(
            self._persistence.until_done(
                SOURCE, lambda: source.receive(limit=self._batch, wait=WAIT)
            )
        )
        stopped = asyncio.ensure_future(self._persistence.stopped())
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return work.result() if work.done() else []
        finally:
            await _cancel(work)
            await _cancel(stopped)

    async def _hand_over(
        self, name: str, handler: EventHandler, events: Sequence[Event]
    ) -> list[SfmError | None]:
        if not events:
            return []
        with self._observer.group("consume", [event.trace for event in events]):
            outcomes = await self._persistence.until_done(
                name, partial(_handle, name, handler, events)
            )
        if len(outcomes) != len(events):
            raise PluginError(
                f"The event handler {name} gave {len(outcomes)} outcomes for {len(events)} events.",
                setting="SFM_CONSUMER_HANDLERS",
                remedy="Report that to its maintainers, or leave it out.",
            )
        return outcomes

    async def _set_aside(self, source: EventSource, rejections: Rejections) -> None:
        for delivery, rejection in rejections:
            await self._persistence.until_done(
                SOURCE, partial(source.set_aside, delivery, rejection)
            )
        for (handler, code), count in rejections.counted.items():
            log.warning("set aside %d: %s: %s", count, handler or "no event", code)
        self.statistics.dead_letters.update(rejections.counted)

    def _note_batch(self, events: Sequence[Event], began: float) -> None:
        self.statistics.batches += 1
        self.statistics.batch_seconds += self._clock.monotonic() - began
        if events:
            self.statistics.delay = self._clock.now() - max(event.time for event in events)

    async def _watch(self, source: EventSource) -> None:
        while True:
            try:
                self.statistics.lag = await source.lag()
            except SfmError as error:
                # Whoever receives meets the same trouble, and says so.
                log.debug("the lag is not known: %s: %s", error.code, error)
                self.statistics.lag = None
            await self._clock.sleep(LAG_INTERVAL)


async def _handle(
    name: str, handler: EventHandler, events: Sequence[Event]
) -> list[SfmError | None]:
    try:
        return await handler.handle(events)
    except SfmError:
        raise
    except Exception as error:
        log.exception("the event handler %s has a fault", name)
        raise PluginError(
            f"The event handler {name} failed with {type(error).__name__}: {error}.",
            setting="SFM_CONSUMER_HANDLERS",
            remedy="Report that to its maintainers, or leave it out.",
        ) from error


async def _cancel(task: asyncio.Future[OpenT]) -> None:
    if not task.done():
        task.cancel()
        await asyncio.wait([task])
