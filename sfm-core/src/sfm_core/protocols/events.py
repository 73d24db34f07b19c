"""The event port: where the world is told what changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from sfm_core.model.events import Event
from sfm_core.protocols.lifecycle import Backend


class EventSink(Backend, Protocol):
    """Takes events out of the house."""

    async def publish(self, events: Sequence[Event]) -> None:
        """Publish events, in order.

        Args:
            events: At most `MAX_BATCH`.

        Raises:
            LimitExceededError: More than `MAX_BATCH` events.
            BackendUnavailableError: The broker was not reached before the
                deadline; a first part of the events may be published.

        Guarantees:
            When it returns, the broker has acknowledged all of them. Events of
            the same source and subject are never published out of order. Repeating a
            call may publish duplicates, which have the same `id`.
        """
        ...
