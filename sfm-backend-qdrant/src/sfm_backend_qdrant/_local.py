"""The connection to the client's own in-process mode, in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from qdrant_client import AsyncQdrantClient

from sfm_backend_qdrant._connection import AnswerT, Ask
from sfm_backend_qdrant._errors import translated
from sfm_backend_qdrant.settings import QdrantSettings


class LocalConnection:
    """Requests to the in-process mode, whose calls compute without giving way.

    They run one after another in a thread of their own, so the event loop
    stays free.
    """

    def __init__(self, settings: QdrantSettings) -> None:
        self.settings = settings
        self.counts_by_namespace = True
        self.indexes_elements = False
        self._users = 0
        self._lock = asyncio.Lock()
        self._thread: ThreadPoolExecutor | None = None
        self._runner = asyncio.Runner()
        self._client: AsyncQdrantClient | None = None

    async def open(self) -> None:
        """Load the folder at the first call; count users at the others.

        Raises:
            ConfigurationError: Another process has the folder open.
        """
        async with self._lock:
            if self._users == 0:
                await self._begin()
            self._users += 1

    async def close(self) -> None:
        """Close the folder, or forget what is in memory, when the last user goes."""
        async with self._lock:
            self._users -= 1
            if self._users == 0:
                await self._end()

    async def run(self, ask: Ask[AnswerT]) -> AnswerT:
        """Make a request.

        Raises:
            SfmError: It failed; see `_errors`.
            RuntimeError: The connection is not open, which the store checks first.
        """
        client = self._client
        if client is None:
            raise RuntimeError
        with translated(self.settings):
            return await self._in_thread(lambda: self._runner.run(ask(client)))

    async def _begin(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sfm-qdrant-local")
        self._runner = asyncio.Runner()
        try:
            with translated(self.settings):
                self._client = await self._in_thread(self._make)
        except BaseException:
            await self._end()
            raise

    async def _end(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await self._in_thread(lambda: self._runner.run(client.close()))
        if self._thread is not None:
            await self._in_thread(self._runner.close)
            self._thread.shutdown(wait=False)
            self._thread = None

    def _make(self) -> AsyncQdrantClient:
        folder = self.settings.folder
        if folder is None:
            return AsyncQdrantClient(location=":memory:")
        return AsyncQdrantClient(path=str(folder))

    async def _in_thread(self, work: Callable[[], AnswerT]) -> AnswerT:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)
