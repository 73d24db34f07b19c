"""Turning many concurrent calls into few large ones."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Generic, NamedTuple, TypeVar

from sfm_core.errors import ClosedError
from sfm_core.model.trace import TraceContext
from sfm_core.protocols.observer import UNOBSERVED, Observer

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")

Process = Callable[[list[ItemT]], Awaitable[Sequence[ResultT | BaseException]]]


class _Lot(Generic[ResultT]):
    """What a caller has handed in at once: its results, and how many of them are missing."""

    __slots__ = ("future", "missing", "origin", "results")

    def __init__(self, size: int, origin: TraceContext | None) -> None:
        self.origin = origin
        self.results: list[ResultT | BaseException] = [asyncio.CancelledError()] * size
        self.missing = size
        self.future: asyncio.Future[list[ResultT | BaseException]] = (
            asyncio.get_running_loop().create_future()
        )
        if not size:
            self.future.set_result(self.results)

    def settle(self, at: int, result: ResultT | BaseException) -> None:
        self.results[at] = result
        self.missing -= 1
        if not self.missing and not self.future.done():
            self.future.set_result(self.results)


class _Waiting(NamedTuple, Generic[ItemT, ResultT]):
    """An item, and where its result goes."""

    item: ItemT
    lot: _Lot[ResultT]
    at: int

    def settle(self, result: ResultT | BaseException) -> None:
        self.lot.settle(self.at, result)


class Coalescer(Generic[ItemT, ResultT]):
    """Collects items while a batch is under way, and hands them on as the next batch.

    An item that comes while nothing is under way starts at once; under load
    batches grow by themselves. Nobody ever waits for a batch to fill.
    """

    def __init__(
        self,
        process: Process[ItemT, ResultT],
        *,
        max_batch: int,
        concurrency: int = 1,
        name: str = "",
        observer: Observer = UNOBSERVED,
    ) -> None:
        """Prepare; no task runs before the first item.

        Args:
            process: Handles a batch; gives one result, or one exception to
                raise, per item in order. What it raises itself fails the whole batch.
            max_batch: Most items in one batch.
            concurrency: Most batches under way at once.
            name: What `observer` is told that a batch does.
            observer: Who is told of each batch.
        """
        self._process = process
        self._max_batch = max_batch
        self._concurrency = concurrency
        self._name = name
        self._observer = observer
        self._waiting: deque[_Waiting[ItemT, ResultT]] = deque()
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
        [result] = await self.submit_all([item])
        return result

    async def submit_all(self, items: Sequence[ItemT]) -> list[ResultT]:
        """Have many items handled, in as few batches as possible, and raise the first error of any.

        Args:
            items: What to handle.

        Returns:
            Their results, in order.

        Raises:
            ClosedError: The coalescer is closed.
            BaseException: What `process` gave for an item or raised for its batch.
        """
        return all_or_raise(await self.submit_many(items))

    async def submit_many(self, items: Sequence[ItemT]) -> list[ResultT | BaseException]:
        """Have many items handled, in as few batches as possible.

        Args:
            items: What to handle.

        Returns:
            For each item its result or its exception, in order.

        Raises:
            ClosedError: The coalescer is closed.
        """
        return await self.hand_in(items)

    def hand_in(self, items: Sequence[ItemT]) -> asyncio.Future[list[ResultT | BaseException]]:
        """Have many items handled, and wait for it later or not at all.

        Args:
            items: What to handle.

        Returns:
            What will hold the result or the exception of each, in order. Cancelling
            it takes back what no batch has begun with.

        Raises:
            ClosedError: The coalescer is closed.
        """
        if self._closed:
            raise ClosedError("The engine is closing.", remedy="Send the call to a running one.")
        # One future for all of them: one each would cost as much as all else that is done here.
        lot: _Lot[ResultT] = _Lot(len(items), self._observer.here())
        self._waiting.extend(_Waiting(item, lot, at) for at, item in enumerate(items))
        if items and len(self._workers) < self._concurrency:
            self._workers.add(asyncio.create_task(self._work()))
        return lot.future

    def withdraw(self, items: Collection[ItemT]) -> None:
        """Take items back that no batch has begun with; the others are handled.

        Args:
            items: What was submitted; whoever waits for one that is taken back
                is cancelled.
        """
        unwanted = {id(item) for item in items}
        waiting, self._waiting = self._waiting, deque()
        for one in waiting:
            if id(one.item) in unwanted:
                one.settle(asyncio.CancelledError())
            else:
                self._waiting.append(one)

    async def close(self) -> None:
        """Take no more items and wait until those that were taken are done."""
        self._closed = True
        while self._workers:
            await asyncio.gather(*self._workers, return_exceptions=True)

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
            results: Sequence[ResultT | BaseException]
            try:
                with self._observer.group(self._name, [one.lot.origin for one in batch]):
                    results = await self._process([one.item for one in batch])
            except asyncio.CancelledError as cancelled:
                for one in batch:
                    one.settle(cancelled)
                raise
            except Exception as error:  # noqa: BLE001 - every waiting caller must hear of it
                results = [error] * len(batch)
            for one, result in zip(batch, results, strict=True):
                one.settle(result)

    def _take(self) -> list[_Waiting[ItemT, ResultT]]:
        batch: list[_Waiting[ItemT, ResultT]] = []
        while self._waiting and len(batch) < self._max_batch:
            one = self._waiting.popleft()
            # Whoever handed it in may have given up.
            if not one.lot.future.done():
                batch.append(one)
        return batch


def all_or_raise(results: Sequence[ResultT | BaseException]) -> list[ResultT]:
    """Return the results of many items, where none of them is an error.

    Args:
        results: What there is for each.

    Returns:
        The same.

    Raises:
        BaseException: The first error among them.
    """
    found: list[ResultT] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        found.append(result)
    return found
