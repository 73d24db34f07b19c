"""Hearing that the server is told to stop, while requests are still being answered.

The lifespan ends after the last answer. An answer that has no end of its own,
such as a stream of events, would keep the server from stopping.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar, cast

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

_Handler = Callable[[int, FrameType | None], object]


class StoppedEarlyError(Exception):
    """The server was told to stop before it had started."""


@contextmanager
def heard_in(closing: asyncio.Event) -> Generator[None]:
    """Set an event as soon as a signal tells the process to stop; what it does else stays.

    Args:
        closing: The event.

    Yields:
        While signals are heard. Where this is not the main thread, or nobody
        has asked for signals, there is nothing to hear.
    """
    loop = asyncio.get_running_loop()
    ours: dict[signal.Signals, tuple[_Handler, _Handler]] = {}
    for number in (signal.SIGINT, signal.SIGTERM):
        before = signal.getsignal(number)
        if callable(before) and threading.current_thread() is threading.main_thread():
            theirs = cast(_Handler, before)
            ours[number] = theirs, _both(loop, closing, theirs)
            signal.signal(number, ours[number][1])
    try:
        yield
    finally:
        for number, (theirs, mine) in ours.items():
            if signal.getsignal(number) is mine:
                signal.signal(number, theirs)


async def unless_told(closing: asyncio.Event, work: Coroutine[object, object, ResultT]) -> ResultT:
    """Do what a start takes, which may be long, and give it up when the server is told to stop.

    Args:
        closing: Set when it is.
        work: What to do; cancelled then.

    Returns:
        What it returned.

    Raises:
        StoppedEarlyError: The server was told to stop first.
    """
    told = asyncio.ensure_future(closing.wait())
    doing = asyncio.ensure_future(work)
    try:
        await asyncio.wait({doing, told}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise StoppedEarlyError
    finally:
        told.cancel()
        doing.cancel()
        await asyncio.gather(doing, return_exceptions=True)


async def until(closing: asyncio.Event, items: AsyncGenerator[ItemT]) -> AsyncGenerator[ItemT]:
    """Pass items on until the server is told to stop.

    Args:
        closing: Set when it is.
        items: What to pass on; closed at the end.

    Yields:
        Items.
    """
    told = asyncio.ensure_future(closing.wait())
    following: asyncio.Future[ItemT] | None = None
    try:
        while not closing.is_set():
            following = asyncio.ensure_future(anext(items))
            await asyncio.wait({following, told}, return_when=asyncio.FIRST_COMPLETED)
            if following.done():
                yield following.result()
    except StopAsyncIteration:
        return
    finally:
        told.cancel()
        if following is not None and not following.done():
            following.cancel()
            await asyncio.wait({following})
        await items.aclose()


def _both(loop: asyncio.AbstractEventLoop, closing: asyncio.Event, theirs: _Handler) -> _Handler:
    def handle(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(closing.set)
        theirs(number, frame)

    return handle
