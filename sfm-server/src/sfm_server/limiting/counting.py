"""Where the requests of all workers are counted."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from sfm_core.errors import BackendUnavailableError
from sfm_core.protocols.cache import Cache
from sfm_server.limiting.ledger import Ledger
from sfm_server.limiting.shared_file import FileCounter
from sfm_server.settings import Settings

FILE = "rate-limits.sqlite"


@asynccontextmanager
async def counting_in(ledger: Ledger, cache: Cache, settings: Settings) -> AsyncGenerator[None]:
    """Have a ledger count in what all workers share.

    Args:
        ledger: The ledger.
        cache: The open cache, which serves where there is one worker, or where
            it is one for all of them; otherwise a file of the data folder does.
        settings: Say how many workers there are.

    Yields:
        While it counts there.
    """
    if settings.workers == 1 or cache.shared:
        ledger.count_in(cache)
        try:
            yield
        finally:
            ledger.count_in(None)
        return
    counter = FileCounter(settings.data_folder / FILE)
    with suppress(BackendUnavailableError):
        # The first use makes the file, which no request is to wait for.
        await counter.increment("start", 0, ttl=timedelta(seconds=1))
    ledger.count_in(counter)
    try:
        yield
    finally:
        ledger.count_in(None)
        await counter.close()
