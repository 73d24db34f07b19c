"""Qdrant's engine without a server: in a worker process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Final, TypeVar

from qdrant_client import models

from sfm_backend_qdrant._asking import Ask, Offset, Order
from sfm_backend_qdrant._encoding import StoredPoint
from sfm_backend_qdrant._parting import parts
from sfm_backend_qdrant.edge import messages
from sfm_backend_qdrant.edge.messages import Call, EdgeFound, EdgePage
from sfm_backend_qdrant.edge.problems import translated
from sfm_backend_qdrant.edge.process import WorkerProcess
from sfm_backend_qdrant.edge.translating import EDGE_INDEXES, asked, said, written
from sfm_backend_qdrant.settings import QdrantSettings
from sfm_core.errors import ConfigurationError

AnswerT = TypeVar("AnswerT")

_POLL_SECONDS: Final = 0.05


class EdgeQdrant:
    """Collections in a folder, which one worker process has open."""

    def __init__(self, settings: QdrantSettings) -> None:
        self._settings = settings
        self._users = 0
        self._lock = asyncio.Lock()
        self._scrubbing = asyncio.Lock()
        self._worker: WorkerProcess | None = None

    @property
    def settings(self) -> QdrantSettings:
        """What it was made with."""
        return self._settings

    @property
    def worker_id(self) -> int | None:
        """The id of the worker process; `None` where there is none."""
        return None if self._worker is None else self._worker.id

    async def open(self) -> None:
        """Start the worker at the first call; count users at the others.

        Raises:
            ConfigurationError: Another process has the folder, or the engine
                is not installed.
            BackendUnavailableError: The worker cannot be started.
        """
        if find_spec("qdrant_edge") is None:
            raise ConfigurationError(
                "Qdrant's engine is not installed.",
                setting="SFM_VECTOR_URL",
                remedy="pip install 'somafractalmemory-backend-qdrant[edge]'",
            )
        with translated(self._settings):
            await self._started()
        self._users += 1

    async def close(self) -> None:
        """End the worker when the last user goes."""
        self._users -= 1
        async with self._lock:
            if self._users == 0 and self._worker is not None:
                worker, self._worker = self._worker, None
                await worker.close()

    async def ping(self) -> None:
        """Ask the worker for the names of collections."""
        await self.names()

    async def names(self) -> list[str]:
        """List the collections; see `Qdrant.names`."""
        return await self._ask(messages.Names(), list[str])

    async def exists(self, name: str) -> bool:
        """Tell whether there is such a collection."""
        return name in await self.names()

    async def create(self, name: str, dimension: int) -> None:
        """Make a collection; see `Qdrant.create`."""
        call = messages.Create(name, dimension, EDGE_INDEXES)
        await self._ask(call, type(None), parts=1 + len(EDGE_INDEXES))

    async def complete(self, name: str) -> int | None:
        """Make the indexes that a collection lacks; see `Qdrant.complete`."""
        call = messages.Complete(name, EDGE_INDEXES)
        return await self._ask(call, int, parts=1 + len(EDGE_INDEXES))

    async def dimension(self, name: str) -> int | None:
        """Return the dimension of a collection; see `Qdrant.dimension`."""
        return await self._ask(messages.Dimension(name), int)

    async def upsert(self, name: str, points: Sequence[StoredPoint]) -> None:
        """Write points; see `Qdrant.upsert`."""
        for part in parts(points):
            await self._ask(messages.Upsert(name, [written(each) for each in part]), type(None))

    async def delete(self, name: str, ids: Sequence[str]) -> None:
        """Remove points; see `Qdrant.delete`."""
        await self._ask(messages.Delete(name, [*ids]), type(None))

    async def query(self, name: str, asks: Sequence[Ask]) -> list[list[list[EdgeFound]]]:
        """Search; see `Qdrant.query`."""
        call = messages.Query(name, [asked(ask) for ask in asks])
        return await self._ask(call, list[list[list[EdgeFound]]])

    async def scroll(
        self,
        name: str,
        condition: models.Filter,
        fields: list[str],
        *,
        size: int,
        order: Order | None = None,
        offset: Offset | None = None,
    ) -> EdgePage:
        """List points; see `Qdrant.scroll`."""
        key, start = (None, None) if order is None else (order.key, order.start)
        call = messages.Scroll(name, said(condition), fields, size, key, start, offset)
        return await self._ask(call, EdgePage)

    async def drop(self, name: str) -> None:
        """Remove a collection; see `Qdrant.drop`."""
        await self._ask(messages.Drop(name), type(None))

    async def scrub(self) -> str:
        """Write every collection anew; see `Qdrant.scrub`."""
        # One at a time: the worker gives up what it is at when it is asked again.
        async with self._scrubbing:
            for name in await self.names():
                try:
                    await self._rewritten(name)
                except ConfigurationError:
                    # It was dropped after it was listed.
                    if await self.exists(name):
                        raise
        return ""

    async def _rewritten(self, name: str) -> None:
        shard = await self._ask(messages.Rewrite(name), str)
        # The worker answers one call after another, and tells nothing by itself.
        while await self._ask(messages.Remains(name, shard), bool):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)

    async def maintain(self) -> None:
        """Write everything to the disk; see `SupportsMaintenance`."""
        await self._ask(messages.Maintain(), type(None))

    async def _ask(self, call: Call, answer: type[AnswerT], *, parts: int = 1) -> AnswerT:
        # As on a server, which is asked for each part by itself: the disk may be busy for each.
        limit = parts * self._settings.timeout
        with translated(self._settings, limit):
            async with asyncio.timeout(limit.total_seconds()):
                worker = await self._started()
                return await worker.ask(call, answer)

    async def _started(self) -> WorkerProcess:
        """Return the worker; a new one where there is none, or where it has died."""
        async with self._lock:
            if self._worker is None or not self._worker.alive:
                self._worker = None
                self._worker = await WorkerProcess.start(self._start())
            return self._worker

    def _start(self) -> messages.Start:
        settings = self._settings
        return messages.Start(
            folder=str(settings.folder),
            durable=settings.durable,
            wait_seconds=settings.lock_wait.total_seconds(),
            scan_kilobytes=settings.scan_kilobytes,
            step_kilobytes=settings.step_kilobytes,
        )
