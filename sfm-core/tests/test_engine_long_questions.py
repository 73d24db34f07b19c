"""Questions that take long keep nobody else waiting, and are bounded however they are asked."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace

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


async def test_a_filter_reads_each_memory_once_for_all_questions_of_a_call(
    engine: MemoryEngine,
) -> None:
    await engine.store(NS, replace(new(at(2)), payload={"text": "whale", "rows": [[0]] * 250_000}))
    asked = ask("whale", where={"text": {"$in": ["whale"]}})
    begun = time.perf_counter()
    await engine.recall(NS, asked)
    once = time.perf_counter() - begun
    begun = time.perf_counter()
    answers = await engine.recall_many(NS, [asked] * 30)
    assert time.perf_counter() - begun < 10 * once
    assert [[one.memory.coordinate for one in answer] for answer in answers] == [[at(2)]] * 30
