"""An engine on an event loop of its own, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from threading import Thread, current_thread
from typing import TypeVar

from sfm_core.engine.memory_engine import MemoryEngine

ResultT = TypeVar("ResultT")


class EngineThread:
    """Runs from its making until it is stopped."""

    def __init__(self, opening: AbstractAsyncContextManager[MemoryEngine]) -> None:
        """Open an engine and wait until it is ready.

        Args:
            opening: Opens and closes it; what it raises is raised here or by `stop`.
        """
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._opened: Future[MemoryEngine] = Future()
        self._closed: Future[None] = Future()
        # A program that ends without closing must not hang: what was acknowledged is safe.
        self._thread = Thread(target=self._main, args=(opening,), name="sfm-engine", daemon=True)
        self._thread.start()
        try:
            self._engine = self._opened.result()
        except BaseException:
            self.stop()
            raise

    def submit(self, operation: Callable[[MemoryEngine], Awaitable[ResultT]]) -> Future[ResultT]:
        """Have the engine do something, without waiting.

        Args:
            operation: What to do.

        Returns:
            The result to come.

        Raises:
            RuntimeError: The caller is in this very thread, and would wait for itself.
        """
        if current_thread() is self._thread:
            raise RuntimeError("A BlockingMemory cannot be called from its engine's own thread.")
        return asyncio.run_coroutine_threadsafe(_awaited(operation, self._engine), self._loop)

    def stop(self) -> None:
        """Close the engine and end the thread; raises what closing raised."""
        # The loop is closed already where opening failed.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._closed.result()

    def _main(self, opening: AbstractAsyncContextManager[MemoryEngine]) -> None:
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._serve(opening))
        # It is raised in the thread that opens or closes; here nobody would see it.
        except BaseException as error:  # noqa: BLE001
            (self._closed if self._opened.done() else self._opened).set_exception(error)
        if not self._closed.done():
            self._closed.set_result(None)

    async def _serve(self, opening: AbstractAsyncContextManager[MemoryEngine]) -> None:
        async with opening as engine:
            self._opened.set_result(engine)
            await self._stop.wait()


async def _awaited(
    operation: Callable[[MemoryEngine], Awaitable[ResultT]], engine: MemoryEngine
) -> ResultT:
    return await operation(engine)
