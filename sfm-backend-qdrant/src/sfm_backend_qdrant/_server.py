"""The connection to a server."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from math import ceil
from typing import Any, Final

from qdrant_client import AsyncQdrantClient

from sfm_backend_qdrant._connection import AnswerT, Ask
from sfm_backend_qdrant._errors import translated
from sfm_backend_qdrant.settings import Grpc, QdrantSettings

_PROBE_SECONDS: Final = 1.0
_COUNTS_BY_NAMESPACE: Final = (1, 19)
_INDEXES_ELEMENTS: Final = (1, 20)


class ServerConnection:
    """Requests to a server."""

    def __init__(self, settings: QdrantSettings) -> None:
        self.settings = settings
        self.counts_by_namespace = False
        self.indexes_elements = False
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
            about = await self.run(lambda client: client.info())
            self.counts_by_namespace = at_least(about.version, _COUNTS_BY_NAMESPACE)
            self.indexes_elements = at_least(about.version, _INDEXES_ELEMENTS)
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


def at_least(version: str, wanted: tuple[int, int]) -> bool:
    """Tell whether a server's version, such as "1.19.2-dev", is one or a later one."""
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    return numbers >= wanted
