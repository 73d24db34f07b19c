"""What the members of a group were handed, together."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import timedelta

from sfm_core.errors import BackendUnavailableError
from sfm_core.model.events import Event
from sfm_core.protocols.source import Delivery
from sfm_eventing_kafka.source import KafkaEventSource

_PATIENCE_SECONDS = 90


class Journal:
    """Notes what was handed out, and what was acknowledged before.

    Attributes:
        again: Events that were handed out after they had been acknowledged.
        repeats: How often an event was handed out that had been before.
    """

    def __init__(self) -> None:
        self.again: list[Event] = []
        self.repeats = 0
        self._seen: dict[str, Event] = {}
        self._acknowledged: set[str] = set()
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._seen)

    def note(self, deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            event = delivery.event
            assert event is not None, delivery.problem
            if event.id in self._acknowledged:
                self.again.append(event)
            self.repeats += event.id in self._seen
            self._seen.setdefault(event.id, event)
        self._changed.set()

    def note_acknowledged(self, deliveries: Sequence[Delivery]) -> None:
        self._acknowledged |= {one.event.id for one in deliveries if one.event is not None}

    async def until(self, happened: Callable[[], bool]) -> None:
        """Wait until something holds, looked at whenever something is handed out."""
        async with asyncio.timeout(_PATIENCE_SECONDS):
            while not happened():
                self._changed.clear()
                await self._changed.wait()

    def versions(self) -> dict[str, list[int]]:
        """Return the versions of each memory, in the order of their first occurrence."""
        versions: dict[str, list[int]] = defaultdict(list)
        for event in self._seen.values():
            versions[event.subject].append(event.version)
        return versions


async def consume(source: KafkaEventSource, journal: Journal, *, limit: int = 50) -> None:
    """Receive and acknowledge for ever, as a consumer does; insist through outages."""
    while True:
        found: list[Delivery] = []
        try:
            found = await source.receive(limit=limit, wait=timedelta(milliseconds=500))
        except BackendUnavailableError:
            await asyncio.sleep(0.1)
        journal.note(found)
        while found:
            try:
                await source.acknowledge(found)
            except BackendUnavailableError:
                await asyncio.sleep(0.1)
            else:
                journal.note_acknowledged(found)
                break
