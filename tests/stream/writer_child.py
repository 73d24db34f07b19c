"""One of several processes that write to the same truth at once: a program of the stream's test.

    python writer_child.py KV_URL SEED OPERATIONS

Stores, replaces, weighs, deletes, links and unlinks memories at a few
coordinates that all writers share, as the seed has it. Its events stay in the
log of the truth: who publishes them is another process. Says nothing. When it
has done as much as was asked it goes on slowly until its input ends.
"""

from __future__ import annotations

import asyncio
import random
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import NotFoundError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import NewMemory
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import EngineSettings, Slots

SPACES = ("stream-0", "stream/1")
PLACES = 40
TASKS = 4
SLOWLY = 0.05
TYPES = ("knows", "after>before")

# What is done how often.
CHOICES = {"store": 50, "delete": 14, "weigh": 6, "link": 20, "unlink": 10}


class Writer:
    """One client of an engine."""

    def __init__(self, engine: MemoryEngine, chances: random.Random) -> None:
        self._engine = engine
        self._chances = chances

    async def write(self, number: int) -> None:
        """Do one thing; what has become impossible meanwhile is left out."""
        space = self._chances.choice(SPACES)
        [what] = self._chances.choices(list(CHOICES), list(CHOICES.values()))
        here, there = self._place(), self._place()
        kind = self._chances.choice(TYPES)
        engine = self._engine
        with suppress(NotFoundError):
            match what:
                case "store":
                    await engine.store(space, NewMemory(coordinate=here, payload=self._say(number)))
                case "delete":
                    await engine.delete(space, here)
                case "weigh":
                    await engine.set_importance(space, here, self._chances.random())
                case "link":
                    weight = self._chances.uniform(0, 9)
                    await engine.link(space, here, there, type=kind, weight=weight)
                case _:
                    await engine.unlink(space, here, there, type=kind)

    def _place(self) -> Coordinate:
        return Coordinate((float(self._chances.randrange(PLACES)), -0.5))

    def _say(self, number: int) -> dict[str, str | int]:
        return {"text": f"said {number} \u00fc", "by": self._chances.randrange(1000)}


async def main(kv: str, seed: int, operations: int) -> None:
    """Open an engine, and have some tasks write."""
    async with open_engine(
        slots=Slots(kv=kv, vector="memory:", graph="memory:", cache="memory:", embedder="hashing:"),
        registry=load_plugins().registry,
        context=BackendContext(data_folder=Path("unused")),
        settings=EngineSettings(track_access=False),
    ) as engine:
        numbers = count()
        over = asyncio.create_task(asyncio.to_thread(sys.stdin.read))

        async def work(task: int) -> None:
            writer = Writer(engine, random.Random(f"{seed}/{task}"))
            for number in numbers:
                if number >= operations:
                    if over.done():
                        return
                    await asyncio.sleep(SLOWLY)
                await writer.write(number)

        async with asyncio.TaskGroup() as group:
            for task in range(TASKS):
                group.create_task(work(task))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
