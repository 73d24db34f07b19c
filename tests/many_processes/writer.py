"""One of several processes that write to one data folder at the same time.

    python writer.py DATA_FOLDER NUMBER WRITERS WRITES

Stores its memories from several tasks, says `written` on standard output, and
waits for a line on standard input: by then the others have written too. Then it
recalls one memory of each of them, and says as JSON what it found.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import timedelta
from pathlib import Path

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import NewMemory
from sfm_core.model.query import RecallQuery
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import EngineSettings, Slots

SPACE = "together"
TASKS = 4
SLOTS = Slots(kv="sqlite:", vector="sqlite:", graph="sqlite:", cache="memory:", embedder="hashing:")
# What is said to be written, the others find: so long a store waits until it is indexed.
SETTINGS = EngineSettings(index_wait=timedelta(seconds=120))


def text_of(writer: int, place: int) -> str:
    """Return words that no other memory has."""
    return f"word{writer}x{place} was said by writer{writer}"


async def write(engine: MemoryEngine, writer: int, places: range) -> None:
    """Store one memory after the other."""
    for place in places:
        coordinate = Coordinate((float(writer), float(place)))
        payload = {"text": text_of(writer, place)}
        await engine.store(SPACE, NewMemory(coordinate=coordinate, payload=payload))


async def find(engine: MemoryEngine, writers: int, place: int) -> list[int]:
    """Return the writers whose memory is the best answer to its own words."""
    queries = [RecallQuery(text=text_of(writer, place), top_k=1) for writer in range(writers)]
    answers = await engine.recall_many(SPACE, queries)
    return [
        writer
        for writer, answer in enumerate(answers)
        if answer and answer[0].memory.payload["text"] == text_of(writer, place)
    ]


async def work(folder: Path, writer: int, writers: int, writes: int) -> None:
    """Write, wait for the others, and recall."""
    registry = load_plugins().registry
    async with open_engine(
        slots=SLOTS,
        registry=registry,
        context=BackendContext(data_folder=folder),
        settings=SETTINGS,
    ) as engine:
        async with asyncio.TaskGroup() as group:
            for task in range(TASKS):
                group.create_task(write(engine, writer, range(task, writes, TASKS)))
        sys.stdout.write("written\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        found = {
            "total": (await engine.stats(SPACE)).total_memories,
            "first": await find(engine, writers, 0),
            "last": await find(engine, writers, writes - 1),
        }
        sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), *map(int, sys.argv[2:])))
