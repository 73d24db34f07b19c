"""Looking for a collector of traces, and tracing as long as there is one."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from sfm_server.masking import mask
from sfm_server.metrics import Metrics
from sfm_server.observing.observer import ServerObserver

if TYPE_CHECKING:
    from sfm_server.observing.exporting import Exporting

log = logging.getLogger(__name__)

LOOK = timedelta(seconds=30)
"""How often a collector is looked for that is not there."""
PATIENCE = timedelta(seconds=1)
"""How long a collector may take to accept a connection."""


@asynccontextmanager
async def traced(
    observer: ServerObserver, metrics: Metrics, endpoint: str, version: str
) -> AsyncGenerator[None]:
    """Trace what `observer` is told, whenever a collector is there.

    Args:
        observer: What is told of the work.
        metrics: Where spans are counted.
        endpoint: Base URL of the collector.
        version: Version of this service.

    Yields:
        While spans may be made.
    """
    looking = _Looking(observer, metrics, endpoint, version)
    task = asyncio.create_task(looking.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
        await looking.close()


class _Looking:
    """Turns tracing on and off."""

    def __init__(
        self, observer: ServerObserver, metrics: Metrics, endpoint: str, version: str
    ) -> None:
        self._observer = observer
        self._metrics = metrics
        self._endpoint = endpoint
        self._version = version
        self._exporting: Exporting | None = None
        self._loop = asyncio.get_running_loop()
        self._lost = asyncio.Event()

    async def run(self) -> None:
        while True:
            if await _reached(self._endpoint):
                await self._trace()
            await asyncio.sleep(LOOK.total_seconds())

    async def close(self) -> None:
        self._observer.tracing = None
        if self._exporting is not None:
            await asyncio.to_thread(self._exporting.close)

    async def _trace(self) -> None:
        """Trace until the collector takes no more."""
        if self._exporting is None:
            self._exporting = await asyncio.to_thread(self._load)
            log.info("traces go to %s", mask(self._endpoint))
        self._lost.clear()
        self._observer.tracing = self._exporting.tracing
        await self._lost.wait()
        self._observer.tracing = None

    def _load(self) -> Exporting:
        # Where no collector is, nobody waits for these to be imported.
        from sfm_server.observing.exporting import Exporting  # noqa: PLC0415

        return Exporting(self._endpoint, self._version, self._note)

    def _note(self, spans: int, taken: bool) -> None:  # noqa: FBT001 - told by the exporter
        self._metrics.spans.labels("exported" if taken else "dropped").inc(spans)
        if not taken:
            self._loop.call_soon_threadsafe(self._lost.set)


async def _reached(endpoint: str) -> bool:
    try:
        parts = urlsplit(endpoint)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        async with asyncio.timeout(PATIENCE.total_seconds()):
            _, writer = await asyncio.open_connection(parts.hostname or "", port)
    except (OSError, ValueError):
        # A name or a port that cannot be is one where nobody is.
        return False
    writer.close()
    return True
