"""A patient event sink."""

from __future__ import annotations

from collections.abc import Sequence

from sfm_core.model.events import Event
from sfm_core.protocols.events import EventSink
from sfm_core.resilience.retry import Repetition
from sfm_core.resilience.wrapper import ResilientBackend


class ResilientEventSink(ResilientBackend[EventSink]):
    """Repeats a publication that failed but not one that timed out."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish; repeated, but not after a time-out.

        A repetition may publish duplicates, which have the same ids. After a
        time-out the first attempt may still be under way, and the two would
        mix; whoever relays events goes on from the last position it knows of.
        """
        await self.guard.call(lambda: self.inner.publish(events), Repetition.UNLESS_LATE)
