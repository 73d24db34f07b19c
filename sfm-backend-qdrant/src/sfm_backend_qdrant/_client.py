"""Connections: to a server, or to the client's own in-process mode in a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from math import ceil
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from qdrant_client import AsyncQdrantClient

from sfm_backend_qdrant._errors import translated
from sfm_backend_qdrant.settings import Grpc, QdrantSettings
from sfm_core.registry import BackendContext

AnswerT = TypeVar("AnswerT")
Ask: TypeAlias = Callable[[AsyncQdrantClient], Coroutine[Any, Any, AnswerT]]

_PROBE_SECONDS: Final = 1.0


class Connection(Protocol):
    """Where requests are made."""

    @property
    def settings(self) -> QdrantSettings:
        """What it was made with."""
        ...

    async def open(self) -> None:
        """Open it, or count one more user."""
        ...

    async def close(self) -> None:
        """Close it when the last user does."""
        ...

    async def run(self, ask: Ask[AnswerT]) -> AnswerT:
        """Make a request.

        Args:
            ask: What to call on the client.

        Raises:
            SfmError: It failed; see `_errors`.
        """
        ...


def connection(settings: QdrantSettings, context: BackendContext) -> Connection:
    """Return the connection for these settings.

    Stores of one engine share what lives in the process; to a server, each
    has connections of its own.
    """
    if not settings.local:
        return ServerConnection(settings)
    key = f"sfm_backend_qdrant:{settings.folder or 'memory'}"
    return context.share(key, lambda: LocalConnection(settings))


class ServerConnection:
    """Requests to a server."""

    def __init__(self, settings: QdrantSettings) -> None:
        self.settings = settings
        self._client: AsyncQdrantClient | None = None

    async def open(self) -> None:
        """Choose between gRPC and HTTP, and see whether the server answers.

        Raises:
            BackendUnavailableError: It cannot be reached.
            ConfigurationError: It wants another key, or is no Qdrant.
        """
        over_grpc = await self._over_grpc()
        with translated(self.settings):
            self._client = self._make(over_grpc=over_grpc)
        try:
            await self.run(lambda client: client.get_collections())
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Close all sockets."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def run(self, ask: Ask[AnswerT]) -> AnswerT:
        """Make a request, in the time that it may take.

        Raises:
            SfmError: It failed; see `_errors`.
            RuntimeError: The connection is not open, which the store checks first.
        """
        if self._client is None:
            raise RuntimeError
        with translated(self.settings):
            # The client's own limit counts each part of an exchange anew.
            async with asyncio.timeout(self.settings.timeout.total_seconds()):
                return await ask(self._client)

    def _make(self, *, over_grpc: bool) -> AsyncQdrantClient:
        settings = self.settings
        # Beyond the named arguments, the client hands on to httpx what it is given.
        others: dict[str, Any] = {"verify": str(settings.ca_file)} if settings.ca_file else {}
        return AsyncQdrantClient(
            host=settings.host,
            port=settings.port,
            grpc_port=settings.grpc_port,
            prefer_grpc=over_grpc,
            https=settings.tls,
            api_key=settings.api_key or None,
            prefix=settings.path or None,
            timeout=ceil(settings.timeout.total_seconds()),
            # It would wait for the server inside the constructor, and so block the loop.
            check_compatibility=False,
            **others,
        )

    async def _over_grpc(self) -> bool:
        if self.settings.ca_file is not None:
            return False
        if self.settings.grpc is not Grpc.AUTO:
            return self.settings.grpc is Grpc.ALWAYS
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                _, writer = await asyncio.open_connection(
                    self.settings.host, self.settings.grpc_port
                )
        except OSError:
            return False
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()
        return True


class LocalConnection:
    """Requests to the in-process mode, whose calls compute without giving way.

    They run one after another in a thread of their own, so the event loop
    stays free.
    """

    def __init__(self, settings: QdrantSettings) -> None:
        self.settings = settings
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
