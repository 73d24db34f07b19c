"""What threads do for an event loop: a clock that is moved by hand does not wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar
from weakref import WeakKeyDictionary

ResultT = TypeVar("ResultT")

_given: WeakKeyDictionary[asyncio.AbstractEventLoop, set[object]] = WeakKeyDictionary()


def watch_threads() -> None:
    """Note from now on what the running loop gives to threads."""
    loop = asyncio.get_running_loop()
    if loop in _given:
        return
    give, given = loop.run_in_executor, _given.setdefault(loop, set())

    def give_and_note(
        executor: Executor | None, work: Callable[..., ResultT], *arguments: object
    ) -> asyncio.Future[ResultT]:
        answer = give(executor, work, *arguments)
        given.add(answer)
        answer.add_done_callback(given.discard)
        return answer

    loop.run_in_executor = give_and_note  # type: ignore[method-assign, assignment]


def threads_at_work() -> bool:
    """Tell whether the running loop, since it is watched, waits for a thread."""
    return bool(_given[asyncio.get_running_loop()])
