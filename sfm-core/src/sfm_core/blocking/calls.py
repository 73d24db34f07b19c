"""Waiting for an engine that runs in a thread of its own."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from threading import RLock
from types import TracebackType
from typing import Self, TypeVar, cast

from sfm_core.blocking.thread import EngineThread
from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import ClosedError
from sfm_core.registry import BackendContext, Registry
from sfm_core.settings import EngineSettings, Slots

ResultT = TypeVar("ResultT")
ItemT = TypeVar("ItemT")


class BlockingCalls:
    """An engine whose every operation can be waited for, between `with` and its end.

    Raises:
        RuntimeError: It is opened although it is open.
    """

    def __init__(
        self,
        *,
        slots: Slots,
        registry: Registry,
        context: BackendContext,
        settings: EngineSettings | None = None,
    ) -> None:
        """Choose the backends; nothing is opened yet.

        Args:
            slots: Which backend serves which port.
            registry: The backends that can be chosen.
            context: What backends need beside their URLs.
            settings: How the engine works.
        """
        self._slots = slots
        self._registry = registry
        self._context = context
        self._settings = settings
        # Reentrant, because a call that ends at once reports that in the thread that made it.
        self._lock = RLock()
        self._pending: set[Future[object]] = set()
        self._running: EngineThread | None = None

    def __enter__(self) -> Self:
        with self._lock:
            if self._running is not None:
                raise RuntimeError("This BlockingMemory is open already.")
            self._running = EngineThread(
                open_engine(
                    slots=self._slots,
                    registry=self._registry,
                    context=self._context,
                    settings=self._settings,
                )
            )
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._lock:
            running, self._running = self._running, None
            pending = tuple(self._pending)
        if running is not None:
            wait(pending)
            running.stop()

    def _call(self, operation: Callable[[MemoryEngine], Awaitable[ResultT]]) -> ResultT:
        with self._lock:
            if self._running is None:
                raise ClosedError(
                    "This BlockingMemory is not open.", remedy="Use it inside `with`."
                )
            future = self._running.submit(operation)
            self._pending.add(cast(Future[object], future))
            future.add_done_callback(self._pending.discard)
        try:
            return future.result()
        except BaseException:
            # After Ctrl-C nobody waits for the answer; where the call itself failed it is over.
            future.cancel()
            raise

    def _stream(
        self, begin: Callable[[MemoryEngine], AsyncGenerator[ItemT]], *, at_once: int
    ) -> Iterator[ItemT]:
        """Draw from what the engine yields, so many items at once, as they are asked for."""

        async def begun(engine: MemoryEngine) -> AsyncGenerator[ItemT]:
            return begin(engine)

        items = self._call(begun)
        try:
            while page := self._call(lambda _: _take(items, at_once)):
                yield from page
        finally:
            # Closing the engine has closed what it yields from as well.
            with suppress(ClosedError):
                self._call(lambda _: items.aclose())


async def _take(items: AsyncGenerator[ItemT], count: int) -> list[ItemT]:
    taken: list[ItemT] = []
    async for item in items:
        taken.append(item)
        if len(taken) == count:
            break
    return taken
