"""Requests that are counted in a cache, while that is there and while it is not."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from threading import Event

import httpx
import pytest
import redis_server

from tests.fix_server import ServerProcess

WORKERS = 4
LIMIT = 50
ALONE = "counts requests alone"
TOGETHER = "counted over all workers again"


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[redis_server.Server]:
    made = redis_server.Server(tmp_path)
    made.start()
    yield made
    made.stop()


def ask(url: str) -> tuple[int, float]:
    began = time.monotonic()
    # A new connection each time, so that every worker gets some.
    status = httpx.get(url, timeout=30, trust_env=False).status_code
    return status, time.monotonic() - began


def many(url: str, times: int) -> tuple[Counter[int], float]:
    """Ask several times at once, and return what was answered and the longest wait."""
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, [url] * times))
    return Counter(status for status, _ in answers), max(wait for _, wait in answers)


def this_minute() -> int:
    return int(time.time() // 60)


def counted_together(server: ServerProcess) -> Counter[int]:
    """Ask a hundred times in one minute; again, for something else, as long as that is too slow."""
    asked: set[tuple[str, int]] = set()
    for path in cycle(("/", "/openapi.json", "/stats")):
        while server.log.count(TOGETHER) < server.log.count(ALONE):
            # Not so often that this endpoint is used up, as nobody asks the cache about it then.
            Event().wait(0.1)
            ask(f"{server.url}/namespaces")
        while (path, this_minute()) in asked:
            # In the next one it is counted anew.
            Event().wait(0.1)
        slow, minute = server.log.count(ALONE), this_minute()
        asked.add((path, minute))
        together, _ = many(f"{server.url}{path}", 100)
        if (server.log.count(ALONE), this_minute()) == (slow, minute):
            return together
    raise AssertionError


@pytest.mark.modes("embedded")
def test_workers_count_together_and_alone_while_the_cache_is_away(
    server: ServerProcess, cache: redis_server.Server
) -> None:
    server.variables |= {
        "UVICORN_WORKERS": str(WORKERS),
        "SOMA_RATE_LIMIT_MAX": str(LIMIT),
        "SFM_CACHE_URL": cache.url,
    }
    asyncio.run(server.start())
    # The first one that serves is enough for a start, but would be alone with its limit.
    while server.log.count("Application startup complete") < WORKERS:
        Event().wait(0.1)

    together = counted_together(server)
    cache.kill()
    alone, longest = many(f"{server.url}/docs", 100)

    assert together == {200: LIMIT, 429: 100 - LIMIT}
    # Each worker has the whole limit, and none waits for the cache again and again.
    assert alone[200] > LIMIT
    assert longest < 20
    assert ALONE in server.log
    assert server.surprises == ""
