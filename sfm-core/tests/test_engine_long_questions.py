"""Questions that take long keep nobody else waiting, and are bounded however they are asked."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator

import pytest
from engine_house import NS, ask, at, new, open_house

from sfm_core.engine.apart import inline_or_apart
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.text.analysis import Analyzer

LONG = [" ".join(f"whale{n:x}of{word:x}" for word in range(1400))[:20_000] for n in range(40)]


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    async with open_house() as house, house.open() as opened:
        await opened.store(NS, new(at(1), "the blue whale eats krill"))
        yield opened


async def test_finding_the_words_of_long_questions_lets_others_work(engine: MemoryEngine) -> None:
    begun = time.perf_counter()
    for text in LONG:
        Analyzer().terms(text)
    alone = time.perf_counter() - begun
    asked = [ask(text, arms=frozenset({"keyword"})) for text in LONG]
    recalling = asyncio.create_task(engine.recall_many(NS, asked))
    longest, last = 0.0, time.perf_counter()
    while not recalling.done():
        await asyncio.sleep(0)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    assert longest < alone / 2


@pytest.mark.parametrize(("cost", "apart"), [(10, False), (11, True)])
async def test_what_takes_long_is_done_in_a_thread(cost: int, *, apart: bool) -> None:
    thread = await inline_or_apart(threading.get_ident, cost=cost, limit=10)
    assert (thread != threading.get_ident()) is apart
