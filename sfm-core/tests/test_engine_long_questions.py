"""Questions that take long keep nobody else waiting, and are bounded however they are asked."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator

import msgspec
import pytest
from engine_house import NS, ask, at, new, open_house

from sfm_core.engine import truth
from sfm_core.engine.apart import inline_or_apart
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.payload import JsonValue
from sfm_core.model.record import decode_payload


@pytest.fixture
async def engine() -> AsyncIterator[MemoryEngine]:
    async with open_house() as house, house.open() as opened:
        await opened.store(NS, new(at(1), "the blue whale eats krill"))
        yield opened


class Watched(str):
    """A text that knows which threads look for its words."""

    __slots__ = ("threads",)
    threads: set[int]

    @classmethod
    def of(cls, text: str) -> Watched:
        made = cls(text)
        made.threads = set()
        return made

    def isascii(self) -> bool:
        self.threads.add(threading.get_ident())
        return super().isascii()


@pytest.mark.parametrize(("length", "apart"), [(20, False), (20_000, True)])
async def test_the_words_of_long_questions_are_found_in_a_thread(
    engine: MemoryEngine, length: int, *, apart: bool
) -> None:
    text = Watched.of("whale " * (length // 6))
    await engine.recall(NS, ask(text, arms=frozenset({"keyword"})))
    assert len(text.threads) == 1
    assert (threading.get_ident() not in text.threads) is apart


@pytest.mark.parametrize(("cost", "apart"), [(10, False), (11, True)])
async def test_what_takes_long_is_done_in_a_thread(cost: int, *, apart: bool) -> None:
    thread = await inline_or_apart(threading.get_ident, cost=cost, limit=10)
    assert (thread != threading.get_ident()) is apart


async def test_a_filter_reads_each_memory_once_for_all_questions_of_a_call(
    engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[msgspec.Raw] = []

    def counted(payload: msgspec.Raw) -> dict[str, JsonValue]:
        read.append(payload)
        return decode_payload(payload)

    monkeypatch.setattr(truth, "decode_payload", counted)
    asked = ask("whale", where={"text": {"$exists": True}})
    await engine.recall_many(NS, [asked])
    for_one = len(read)
    await engine.recall_many(NS, [asked] * 30)
    assert len(read) == 2 * for_one > 0
