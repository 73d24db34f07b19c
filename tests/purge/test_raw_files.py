"""No byte of what was purged is left in the files of the embedded mode."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from sfm_core.clock import SystemClock
from sfm_core.engine.memory_commit import PURGE_PAUSE
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import parse_filter
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.memory import Episode, NewMemory
from sfm_core.model.query import RecallQuery
from sfm_core.model.selection import Selection
from tests.fix_engine import OpenEmbedded
from tests.raw_stores import files_with

SPACE = "raw"
WORDS = ("xylocarpous", "quomodocunquize", "tmesis-episode")
HERE = Coordinate((7.0,))
COUNT = 200

# Dies when the truth has committed a purge, and before any store was gone over.
DIES = """
import asyncio, os, signal, sys
from pathlib import Path
from sfm_core.engine.assembly import open_engine
from sfm_core.engine.scrubbing import Scrubbing
from sfm_core.model.coordinate import Coordinate
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots

async def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    Scrubbing.scrub = die
    slots = Slots(
        kv="sqlite:", vector="sqlite:", graph="sqlite:", cache="memory:", embedder="hashing:"
    )
    context = BackendContext(data_folder=Path(sys.argv[1]))
    async with open_engine(slots=slots, registry=load_plugins().registry, context=context) as one:
        await one.purge("raw", Coordinate((7.0,)))

asyncio.run(main())
"""

pytestmark = pytest.mark.asyncio


class Later(SystemClock):
    """The clock of somebody who comes when the second round is due."""

    def now(self) -> datetime:
        return super().now() + 2 * PURGE_PAUSE


def memory(number: int, text: str) -> NewMemory:
    return NewMemory(coordinate=Coordinate((float(number),)), payload={"text": text})


async def test_of_a_memory_with_history_in_an_episode(
    open_embedded: OpenEmbedded, tmp_path: Path
) -> None:
    one, other, episode = WORDS
    secret = replace(memory(7, f"{one} {one.upper()}"), episode=Episode(name=episode, order=1.0))
    async with open_embedded(tmp_path) as engine:
        await engine.store_many(SPACE, [memory(n, f"thing {n} " * 40) for n in range(COUNT)])
        await engine.store(SPACE, secret, idempotency_key=IdempotencyKey("k"))
        await engine.store(SPACE, replace(secret, payload={"text": other * 3_000}))
        await engine.store(SPACE, secret)
        await engine.recall(SPACE, RecallQuery(text=one))
        assert all(files_with(tmp_path, *WORDS).values())
        purged = await engine.purge(SPACE, HERE)
        assert not purged.pending
        assert files_with(tmp_path, *WORDS) == {word: [] for word in WORDS}
        assert (await engine.stats(SPACE)).total_memories == COUNT - 1
    assert files_with(tmp_path, *WORDS) == {word: [] for word in WORDS}


async def test_of_many_that_another_process_deleted_before(
    open_embedded: OpenEmbedded, tmp_path: Path
) -> None:
    word = WORDS[0]
    async with open_embedded(tmp_path) as writer, open_embedded(tmp_path) as other:
        await writer.store_many(SPACE, [memory(n, f"{word} {n}") for n in range(COUNT)])
        await writer.recall(SPACE, RecallQuery(text=word))
        await other.recall(SPACE, RecallQuery(text=word))
        coordinates = [Coordinate((float(n),)) for n in range(COUNT)]
        await writer.delete_many(SPACE, coordinates)
        assert (await other.purge_many(SPACE, coordinates)).count == COUNT
        assert files_with(tmp_path, word) == {word: []}
    assert files_with(tmp_path, word) == {word: []}


async def test_of_one_whose_process_was_killed_before_it_went_over_the_stores(
    open_embedded: OpenEmbedded, tmp_path: Path
) -> None:
    word = WORDS[0]
    async with open_embedded(tmp_path) as engine:
        await engine.store(SPACE, memory(7, word))
        await engine.store(SPACE, memory(7, f"{word} again"))
    died = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", DIES, str(tmp_path)], check=False
    )
    assert died.returncode == -signal.SIGKILL
    assert files_with(tmp_path, word)[word]
    async with open_embedded(tmp_path, clock=Later()), asyncio.timeout(60):
        # Upkeep tells nobody when it is done.
        while files_with(tmp_path, word)[word]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_of_what_a_filter_picks_and_only_that(
    open_embedded: OpenEmbedded, tmp_path: Path
) -> None:
    word, other, _ = WORDS
    async with open_embedded(tmp_path) as engine:
        await engine.store_many(SPACE, [memory(n, word if n % 2 else other) for n in range(COUNT)])
        await engine.store(SPACE, memory(1, f"{word} again"))
        picked = Selection(filter=parse_filter({"text": {"$ne": other}}))
        key = IdempotencyKey("k")
        cleared = await engine.delete_matching(SPACE, picked, purge=True, idempotency_key=key)
        assert cleared.deleted == COUNT // 2
        assert cleared.purged is not None
        assert not cleared.purged.pending
        assert files_with(tmp_path, word) == {word: []}
        assert files_with(tmp_path, other)[other]
        again = await engine.delete_matching(SPACE, picked, purge=True, idempotency_key=key)
        assert (again.deleted, again.matched) == (COUNT // 2, COUNT // 2)
        assert (await engine.stats(SPACE)).total_memories == COUNT // 2
