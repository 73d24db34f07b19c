"""The reference event stream: a sink and a source on it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta

import msgspec

from sfm_core.clock import Clock, SystemClock
from sfm_core.inprocess._base import InProcessBackend
from sfm_core.model.cloudevents import cloudevent
from sfm_core.model.events import Event
from sfm_core.porting import check_batch, check_limit
from sfm_core.protocols.source import DeadLetter, Delivery, Rejection

KEPT_EVENTS = 10_000
"""How many of the latest events are kept."""

GROUP = "soma-consumer-group"
"""The group that a source belongs to unless it is told otherwise."""


@dataclass(slots=True)
class _Group:
    """Up to where a group is done, and who is at it."""

    done: int = 0
    member: object | None = None


@dataclass(slots=True)
class EventStreamState:
    """The latest events that were published, oldest first, and how far each group is."""

    events: deque[Event] = field(default_factory=lambda: deque[Event](maxlen=KEPT_EVENTS))
    count: int = 0
    letters: dict[str, tuple[Event, DeadLetter]] = field(
        default_factory=dict[str, tuple[Event, DeadLetter]]
    )
    _groups: dict[str, _Group] = field(default_factory=dict[str, _Group])
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def append(self, events: Sequence[Event]) -> None:
        """Add events at the end, and wake those who wait for some."""
        self.events.extend(events)
        self.count += len(events)
        self.tell()

    def group(self, name: str) -> _Group:
        """Return a group; one that is new begins with the oldest event that is kept."""
        return self._groups.setdefault(name, _Group())

    def after(self, number: int, limit: int) -> list[tuple[int, Event]]:
        """Return the events after a number, each with its own."""
        first = self.count - len(self.events)
        start = max(number, first)
        end = min(start + limit, self.count)
        return [(at + 1, self.events[at - first]) for at in range(start, end)]

    def tell(self) -> None:
        """Wake everybody who waits for a change."""
        self._changed.set()
        self._changed.clear()

    async def change(self) -> None:
        """Wait for the next change."""
        await self._changed.wait()


class InProcessEventSink(InProcessBackend):
    """Keeps the latest events, for whoever wants to look or to consume."""

    def __init__(self, *, state: EventStreamState | None = None) -> None:
        super().__init__()
        self._state = state or EventStreamState()

    @property
    def events(self) -> tuple[Event, ...]:
        """What was published, oldest first; also readable when it is closed."""
        return tuple(self._state.events)

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish events, in order; see `EventSink.publish`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` events; none was published.
            ClosedError: The sink is not open.
        """
        await self._turn()
        check_batch(len(events), "events")
        self._state.append(events)


class InProcessEventSource(InProcessBackend):
    """Reads what an `InProcessEventSink` on the same state has published.

    One member of a group is handed events at a time; another one has its turn
    when that one is closed.
    """

    def __init__(
        self,
        *,
        state: EventStreamState | None = None,
        group: str = GROUP,
        clock: Clock | None = None,
    ) -> None:
        super().__init__()
        self._state = state or EventStreamState()
        self._group = self._state.group(group)
        self._clock = clock or SystemClock()
        self._handed = 0

    async def receive(self, *, limit: int, wait: timedelta) -> list[Delivery]:
        """Take the next events; see `EventSource.receive`.

        Raises:
            LimitExceededError: A limit out of bounds.
            ClosedError: The source is not open.
        """
        await self._turn()
        check_limit(limit)
        try:
            async with asyncio.timeout(wait.total_seconds()):
                while not (found := self._take_next(limit)):
                    await self._state.change()
        except TimeoutError:
            return []
        self._check_open()
        return found

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Note that the group is done; see `EventSource.acknowledge`.

        Raises:
            ClosedError: The source is not open.
        """
        await self._turn()
        if self._group.member is self:
            numbers = [int(delivery.place) for delivery in deliveries]
            self._group.done = max([self._group.done, *numbers])

    async def set_aside(self, delivery: Delivery, rejection: Rejection) -> None:
        """Keep a dead letter; see `EventSource.set_aside`.

        Raises:
            ClosedError: The source is not open.
        """
        await self._turn()
        if delivery.event is not None:
            letter = DeadLetter(
                place=delivery.place,
                rejection=rejection,
                at=self._clock.now(),
                value=msgspec.json.encode(cloudevent(delivery.event)),
            )
            self._state.letters[delivery.place] = (delivery.event, letter)

    async def lag(self) -> int:
        """Tell how many events wait; see `EventSource.lag`.

        Raises:
            ClosedError: The source is not open.
        """
        await self._turn()
        return self._state.count - self._group.done if self._group.member is self else 0

    async def dead_letters(self, *, limit: int) -> list[DeadLetter]:
        """List what was set aside; see `EventSource.dead_letters`.

        Raises:
            LimitExceededError: A limit out of bounds.
            ClosedError: The source is not open.
        """
        await self._turn()
        check_limit(limit)
        return [letter for _, letter in self._state.letters.values()][:limit]

    async def retry(self, places: Sequence[str]) -> int:
        """Publish dead letters again; see `EventSource.retry`.

        Raises:
            LimitExceededError: Too many places.
            ClosedError: The source is not open.
        """
        events = await self._resolved(places)
        self._state.append(events)
        return len(events)

    async def drop(self, places: Sequence[str]) -> int:
        """Let dead letters go; see `EventSource.drop`.

        Raises:
            LimitExceededError: Too many places.
            ClosedError: The source is not open.
        """
        return len(await self._resolved(places))

    async def _resolved(self, places: Sequence[str]) -> list[Event]:
        """Let letters go; return the events that they held."""
        await self._turn()
        check_batch(len(places), "places")
        found = [self._state.letters.pop(place, None) for place in places]
        return [pair[0] for pair in found if pair is not None]

    async def _take(self, stack: AsyncExitStack) -> None:
        await super()._take(stack)
        stack.callback(self._leave)

    def _leave(self) -> None:
        if self._group.member is self:
            self._group.member = None
            self._state.tell()

    def _take_next(self, limit: int) -> list[Delivery]:
        if self._group.member is None:
            self._group.member = self
            self._handed = self._group.done
        if self._group.member is not self:
            return []
        found = self._state.after(self._handed, limit)
        if found:
            self._handed = found[-1][0]
        return [Delivery(place=str(number), event=event) for number, event in found]
