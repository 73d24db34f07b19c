"""Turning many concurrent calls into few large ones."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Generic, TypeVar

from sfm_core.errors import ClosedError

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Process = Callable[[list[ItemT]], Awaitable[Sequence[ResultT | BaseException]]]


class Coalescer(Generic[ItemT, ResultT]):
    """Collects items while a batch is under way, and hands them on as the next batch.

    An item that comes while nothing is under way starts at once; under load
    batches grow by themselves. Nobody ever waits for a batch to fill.
    """

    def __init__(
        self, process: Process[ItemT, ResultT], *, max_batch: int, concurrency: int = 1
    ) -> None:
        """Prepare; no task runs before the first item.

        Args:
            process: Handles a batch; gives one result, or one exception to
                raise, per item in order. What it raises itself fails the whole batch.
            max_batch: Most items in one batch.
            concurrency: Most batches under way at once.
        """
        self._process = process
        self._max_batch = max_batch
        self._concurrency = concurrency
        self._waiting: deque[tuple[ItemT, asyncio.Future[ResultT]]] = deque()
        self._workers: set[asyncio.Task[None]] = set()
        self._closed = False

    async def submit(self, item: ItemT) -> ResultT:
        """Have one item handled.

        Args:
            item: What to handle.

        Returns:
            Its result.

        Raises:
            ClosedError: The coalescer is closed.
            BaseException: What `process` gave for this item or raised for its batch.
        """
        return await self._enqueue(item)

    async def submit_many(self, items: Sequence[ItemT]) -> list[ResultT | BaseException]:
        """Have many items handled, in as few batches as possible.

        Args:
            items: What to handle.

        Returns:
            For each item its result or its exception, in order.

        Raises:
            ClosedError: The coalescer is closed.
        """
        futures = [self._enqueue(item) for item in items]
        return list(await asyncio.gather(*futures, return_exceptions=True))

    def withdraw(self, items: Collection[ItemT]) -> None:
        """Take items back that no batch has begun with; the others are handled.

        Args:
            items: What was submitted; whoever waits for one that is taken back
                is cancelled.
        """
        unwanted = {id(item) for item in items}
        for item, future in self._waiting:
            if id(item) in unwanted:
                future.cancel()

    async def close(self) -> None:
        """Take no more items and wait until those that were taken are done."""
        self._closed = True
        while self._workers:
            await asyncio.gather(*self._workers, return_exceptions=True)

    def _enqueue(self, item: ItemT) -> asyncio.Future[ResultT]:
        if self._closed:
            raise ClosedError("The engine is closing.", remedy="Send the call to a running one.")
        future: asyncio.Future[ResultT] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if len(self._workers) < self._concurrency:
            self._workers.add(asyncio.create_task(self._work()))
        return future

    async def _work(self) -> None:
        try:
            await self._work_off()
        finally:
            # Not in a callback of the task: that runs a turn later, and an item
            # that came in between would find a worker that takes nothing more.
            worker = asyncio.current_task()
            if worker is not None:
                self._workers.discard(worker)

    async def _work_off(self) -> None:
        while batch := self._take():
            try:
                results = await self._process([item for item, _ in batch])
            except asyncio.CancelledError:
                for _, future in batch:
                    future.cancel()
                raise
            except Exception as error:  # noqa: BLE001 - every waiting caller must hear of it
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, BaseException):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _take(self) -> list[tuple[ItemT, asyncio.Future[ResultT]]]:
        batch: list[tuple[ItemT, asyncio.Future[ResultT]]] = []
        while self._waiting and len(batch) < self._max_batch:
            item, future = self._waiting.popleft()
            if not future.done():
                batch.append((item, future))
        return batch
