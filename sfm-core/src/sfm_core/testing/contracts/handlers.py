"""The contract of the handler port."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from sfm_core.errors import ClosedError, SfmError
from sfm_core.protocols.handler import EventHandler
from sfm_core.testing.contracts._base import fresh_namespace
from sfm_core.testing.event_samples import link_deleted, link_stored, memory_deleted, memory_stored
from sfm_core.testing.samples import HOSTILE_COORDINATES, HOSTILE_NAMES, coordinate

_HERE, _THERE = coordinate(1.0), coordinate(2.0)


class EventHandlerContract:
    """What `EventHandler` promises; override `make` and `effect`."""

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def make(self) -> Callable[[], EventHandler]:
        """Return what makes a handler that is not open yet; the subclass gives it.

        Each call makes another handler with its effect on the same things,
        which nothing had an effect on at the start of each test.

        Raises:
            NotImplementedError: The subclass does not say how.
        """
        raise NotImplementedError("Override the fixture `make` in your subclass.")

    @pytest.fixture
    def namespace(self) -> str:
        """Return a namespace that no other test uses."""
        return fresh_namespace()

    async def effect(self) -> object:
        """Return what handlers have brought about so far, in a form that can be compared.

        What harms nobody when it is done twice has to look as if it was done
        once: the set of ids that a receiver has seen, say, not their list.

        Raises:
            NotImplementedError: The subclass does not say how.
        """
        raise NotImplementedError("Override the method `effect` in your subclass.")

    async def test_nothing_in_nothing_out(self, make: Callable[[], EventHandler]) -> None:
        """An empty batch has no outcomes and no effect."""
        before = await self.effect()
        async with make() as handler:
            assert await handler.handle([]) == []
        assert await self.effect() == before

    async def test_every_kind_of_event_is_taken_in(
        self, make: Callable[[], EventHandler], namespace: str
    ) -> None:
        """Each with an outcome of its own."""
        events = [
            memory_stored(namespace, _HERE),
            memory_stored(namespace, _THERE),
            link_stored(namespace, _HERE, _THERE),
            link_deleted(namespace, _HERE, _THERE),
            memory_deleted(namespace, _HERE),
        ]
        async with make() as handler:
            assert await handler.handle(events) == [None] * len(events)

    async def test_the_same_batch_again_changes_nothing(
        self, make: Callable[[], EventHandler], namespace: str
    ) -> None:
        """As after a crash between effect and acknowledgement, in this process or the next."""
        events = [memory_stored(namespace, coordinate(float(n)), 1, {"n": n}) for n in range(20)]
        events += [memory_deleted(namespace, coordinate(0.0)), link_stored(namespace, _HERE, _HERE)]
        async with make() as handler:
            assert await handler.handle(events) == [None] * len(events)
            once = await self.effect()
            assert await handler.handle(events) == [None] * len(events)
            assert await self.effect() == once
        async with make() as handler:
            assert await handler.handle(events[5:]) == [None] * len(events[5:])
        assert await self.effect() == once

    async def test_old_events_change_nothing(
        self, make: Callable[[], EventHandler], namespace: str
    ) -> None:
        """A replay hands in what has been replaced or deleted since."""
        events = [memory_stored(namespace, _HERE, version, {"n": version}) for version in (1, 2, 3)]
        events.append(memory_deleted(namespace, _HERE, 4))
        async with make() as handler:
            for one in events:
                assert await handler.handle([one]) == [None]
            done = await self.effect()
            for one in reversed(events):
                assert await handler.handle([one]) == [None]
                assert await self.effect() == done

    async def test_names_and_coordinates_that_look_alike_are_taken_in(
        self, make: Callable[[], EventHandler], namespace: str
    ) -> None:
        """Whatever they hold."""
        events = [
            memory_stored(f"{namespace}{name}", where)
            for name in HOSTILE_NAMES
            for where in HOSTILE_COORDINATES
        ]
        async with make() as handler:
            assert await handler.handle(events) == [None] * len(events)

    async def test_an_event_whose_version_is_no_longer_kept_does_no_harm(
        self, make: Callable[[], EventHandler], namespace: str
    ) -> None:
        """It is skipped or refused, and those beside it are taken in."""
        gone = replace(memory_stored(namespace, _HERE), data=None)
        async with make() as handler:
            skipped, taken = await handler.handle([gone, memory_stored(namespace, _THERE)])
        assert skipped is None or isinstance(skipped, SfmError)
        assert taken is None

    async def test_a_batch_that_is_cancelled_can_come_again(
        self, make: Callable[[], EventHandler], namespace: str
    ) -> None:
        """As where the consumer is stopped in the middle of it."""
        events = [memory_stored(namespace, coordinate(float(n)), 1, {"n": n}) for n in range(20)]
        async with make() as handler:
            for turns in (0, 1, 2, 5, 20, 100):
                work = asyncio.ensure_future(handler.handle(events))
                for _ in range(turns):
                    await asyncio.sleep(0)
                work.cancel()
                await asyncio.wait([work])
            assert await handler.handle(events) == [None] * len(events)
            done = await self.effect()
            assert await handler.handle(events) == [None] * len(events)
        assert await self.effect() == done

    async def test_two_members_of_a_group_work_side_by_side(
        self, make: Callable[[], EventHandler], namespace: str
    ) -> None:
        """Each with the events of some memories, and for a moment with the same."""
        events = [memory_stored(namespace, coordinate(float(n)), 1, {"n": n}) for n in range(20)]
        async with make() as one, make() as other:
            first, second = await asyncio.gather(one.handle(events[:12]), other.handle(events[8:]))
            assert first == second == [None] * 12
            done = await self.effect()
            await one.handle(events)
        assert await self.effect() == done

    async def test_nothing_is_handled_before_it_is_opened_or_after_it_was_closed(
        self, make: Callable[[], EventHandler], namespace: str
    ) -> None:
        """Too early or too late is a clear error."""
        handler = make()
        with pytest.raises(ClosedError):
            await handler.handle([memory_stored(namespace, _HERE)])
        async with handler:
            assert await handler.handle([memory_stored(namespace, _HERE)]) == [None]
        with pytest.raises(ClosedError):
            await handler.handle([memory_stored(namespace, _HERE)])
