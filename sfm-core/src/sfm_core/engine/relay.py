"""The relay: takes events from the log of the truth to the event sink, in order.

Exactly one relay per truth is at work. Which one is settled by an entry of the
truth that its holder keeps renewing; another takes over after it has watched
the entry stand still for the length of a lease on its *own* clock, so clocks
of different machines need not agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sfm_core.engine.events import materialize
from sfm_core.engine.stillness import Stillness
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth
from sfm_core.model.events import START, Position
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, Committed, Entry, KeyValueStore, Write

PAGE = 500
_LEASE_KEY = b"relay/lease"
_CURSOR_KEY = b"relay/cursor"


class Relay:
    """Publishes logged events; or, where there is no sink, lets old ones go."""

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
        if self._stores.sink is None:
            await self._trim_old()
            return 0
        published = 0
        while await self._lead():
            cursor, version = await self._cursor()
            logged = await self._stores.kv.read_events(after=cursor, limit=PAGE)
            if not logged:
                break
            events = await materialize(self._stores, self._truth, logged)
            await self._stores.sink.publish(events)
            await self._advance(logged[-1].position, version)
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

    async def _cursor(self) -> tuple[Position, int]:
        [entry] = await self._stores.kv.get_many(SYSTEM_NAMESPACE, [_CURSOR_KEY])
        return _position(entry)

    async def _advance(self, position: Position, version: int) -> None:
        write = Write(_CURSOR_KEY, position.encode(), version + 1)
        if await self._put([write], {_CURSOR_KEY: version}):
            await self._stores.kv.trim_events(through=position)

    async def _put(self, writes: Sequence[Write], expect: dict[bytes, int]) -> bool:
        commit = Commit(namespace=SYSTEM_NAMESPACE, writes=tuple(writes), expect=expect)
        [result] = await self._stores.kv.commit(
            [commit], owner=self._stores.owner, lease=timedelta(seconds=1)
        )
        return isinstance(result, Committed)

    async def _trim_old(self) -> None:
        oldest = self._stores.clock.now() - self._stores.settings.event_retention
        while True:
            logged = await self._stores.kv.read_events(after=START, limit=PAGE)
            old = [event for event in logged if event.note.at < oldest]
            if not old:
                return
            await self._stores.kv.trim_events(through=old[-1].position)


async def unpublished_since(stores: Stores) -> datetime | None:
    """Tell since when the oldest event that no sink has acknowledged is in the log.

    Args:
        stores: The backends.

    Returns:
        When it was logged, or `None` where all are published.

    Raises:
        BackendError: The truth failed.
    """
    logged = await stores.kv.read_events(after=await cursor_of(stores.kv), limit=1)
    return logged[0].note.at if logged else None


async def cursor_of(kv: KeyValueStore) -> Position:
    """Read up to where a truth's events have been published.

    Args:
        kv: The truth.

    Returns:
        The position of the last event that was; `START` where none was.

    Raises:
        BackendUnavailableError: The truth did not answer.
    """
    [entry] = await kv.get_many(SYSTEM_NAMESPACE, [_CURSOR_KEY])
    return _position(entry)[0]


def _position(entry: Entry | None) -> tuple[Position, int]:
    return (START, 0) if entry is None else (Position(entry.value.decode()), entry.version)
