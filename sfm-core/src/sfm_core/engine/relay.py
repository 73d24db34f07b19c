"""The relay: takes events from the log of the truth to the event sink, in order.

Exactly one relay per truth is at work. Which one is settled by an entry of the
truth that its holder keeps renewing; another takes over after it has watched
the entry stand still for the length of a lease on its *own* clock, so clocks
of different machines need not agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sfm_core.engine.event_marks import Published, read_published, write_published
from sfm_core.engine.events import materialize
from sfm_core.engine.stillness import Stillness
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.model.events import LoggedEvent
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, Committed, Write

PAGE = 500
_LEASE_KEY = b"relay/lease"


class Relay:
    """Publishes logged events."""

    def __init__(self, stores: Stores, truth: Truth) -> None:
        """Publish what the truth of `stores` has logged."""
        self._stores = stores
        self._truth = truth
        self._stillness = Stillness(stores.clock)

    async def run_once(self) -> int:
        """Publish everything that is logged by now, if this relay is the one at work.

        Returns:
            How many events were published.

        Raises:
            BackendError: Truth or sink failed; what was not acknowledged by
                the sink is published again later.
        """
        sink = self._stores.sink
        if sink is None:
            return 0
        published = 0
        while await self._lead():
            done, version = await read_published(self._stores.kv)
            logged = await self._stores.kv.read_events(after=done.position, limit=PAGE)
            if not logged:
                break
            events = await materialize(self._stores, self._truth, logged)
            await sink.publish(events)
            await self._advance(done, logged, version)
            published += len(events)
        return published

    async def _lead(self) -> bool:
        """Take or renew the lease; tell whether this relay holds it now."""
        [entry] = await self._stores.kv.get_many(SYSTEM_NAMESPACE, [_LEASE_KEY])
        mine = self._stores.owner.encode()
        version = entry.version if entry else 0
        others = entry is not None and entry.value != mine
        if others and self._stillness.of(_LEASE_KEY, version) < self._stores.settings.lease:
            return False
        return await self._put([Write(_LEASE_KEY, mine, version + 1)], {_LEASE_KEY: version})

    async def _advance(self, done: Published, logged: Sequence[LoggedEvent], version: int) -> None:
        times = [event.note.at for event in logged]
        latest = max(times if done.latest is None else [done.latest, *times])
        done = Published(position=logged[-1].position, latest=latest)
        await write_published(self._stores.kv, self._stores.owner, done, version=version)

    async def _put(self, writes: Sequence[Write], expect: dict[bytes, int]) -> bool:
        commit = Commit(namespace=SYSTEM_NAMESPACE, writes=tuple(writes), expect=expect)
        [result] = await self._stores.kv.commit(
            [commit], owner=self._stores.owner, lease=timedelta(seconds=1)
        )
        return isinstance(result, Committed)


async def unpublished_since(stores: Stores) -> datetime | None:
    """Tell since when the oldest event that no sink has acknowledged is in the log.

    Args:
        stores: The backends.

    Returns:
        When it was logged, or `None` where all are published.

    Raises:
        BackendError: The truth failed.
    """
    done, _ = await read_published(stores.kv)
    logged = await stores.kv.read_events(after=done.position, limit=1)
    return logged[0].note.at if logged else None
