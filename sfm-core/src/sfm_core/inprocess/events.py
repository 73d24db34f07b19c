"""The reference event sink."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from sfm_core.inprocess._base import InProcessBackend
from sfm_core.model.events import Event
from sfm_core.porting import check_batch

KEPT_EVENTS = 10_000
"""How many of the latest events are kept."""


@dataclass(slots=True)
class EventSinkState:
    """The latest events that were published, oldest first."""

    events: deque[Event] = field(default_factory=lambda: deque[Event](maxlen=KEPT_EVENTS))


class InProcessEventSink(InProcessBackend):
    """Keeps the latest events, for whoever wants to look."""

    def __init__(self, *, state: EventSinkState | None = None) -> None:
        super().__init__()
        self._state = state or EventSinkState()

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
        self._state.events.extend(events)
