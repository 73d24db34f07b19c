"""What is made when it is first needed, and anew after it failed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from aiokafka.errors import KafkaConnectionError

ThingT = TypeVar("ThingT")


class Kept(Generic[ThingT]):
    """One thing at a time.

    It is made and ended in tasks of their own: a caller that is cancelled does not break off
    what the next one would have to begin again.

    Args:
        make: Makes one, in bounded time; fails where it cannot.
        end: Ends one, in bounded time and without failing.
    """

    def __init__(
        self, make: Callable[[], Awaitable[ThingT]], end: Callable[[ThingT], Awaitable[None]]
    ) -> None:
        self._make = make
        self._end = end
        self._thing: ThingT | None = None
        self._making: asyncio.Task[ThingT] | None = None
        self._ending: asyncio.Future[None] | None = None

    @property
    def now(self) -> ThingT | None:
        """The thing, if there is one right now."""
        return self._thing

    async def get(self) -> ThingT:
        """Return the thing; make it where there is none.

        Raises:
            KafkaConnectionError: It was closed meanwhile.
        """
        if self._thing is not None:
            return self._thing
        if self._making is None:
            self._making = asyncio.create_task(self._made())
            self._making.add_done_callback(_seen)
        making = self._making
        await asyncio.wait([making])
        if making.cancelled():
            raise KafkaConnectionError("it was closed meanwhile")
        return making.result()

    def give_up(self, thing: ThingT) -> None:
        """Have a thing replaced, because it failed; nothing happens where it already is.

        Args:
            thing: The one that failed.
        """
        if thing is self._thing:
            self._thing = None
            self._ending = asyncio.ensure_future(self._end(thing))

    async def close(self) -> None:
        """End the thing, and wait for the end."""
        if self._making is not None:
            self._making.cancel()
            await asyncio.wait([self._making])
        if self._thing is not None:
            self.give_up(self._thing)
        if self._ending is not None:
            await self._ending
            self._ending = None

    async def _made(self) -> ThingT:
        try:
            if self._ending is not None:
                await asyncio.shield(self._ending)
                self._ending = None
            self._thing = await self._make()
        finally:
            self._making = None
        return self._thing


def _seen(making: asyncio.Task[ThingT]) -> None:
    """Take notice of a failure that nobody waits for any more; the next call tries anew."""
    if not making.cancelled():
        making.exception()
