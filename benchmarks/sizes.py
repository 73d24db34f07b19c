"""Measure how many bytes a memory, a kept version of it and a link take, and where.

    python -m benchmarks.sizes [--modes embedded] [--sizes 5000 20000] [--json FILE]

Each mode runs on servers of its own. What is told is how much more there is at the larger size
than at the smaller one, for each thing that was added in between; so what an empty store takes
does not count. `benchmarks.capacity` reckons with these figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from typing import TypeAlias

import psutil

from benchmarks.corpus import Corpus
from benchmarks.embedded import encoded
from benchmarks.measuring import quiet
from benchmarks.services import kafka_at, make_database, postgres_at, redis_at
from benchmarks.store_sizes import (
    folder_parts,
    postgres_parts,
    redis_parts,
    sqlite_parts,
    topic_parts,
)
from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.memory import NewMemory
from sfm_core.model.query import RecallQuery
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots

MODES = ("embedded", "development", "evented_enterprise")
SPACE = "bench"
BULK = 1000
LINKS_AT_ONCE = 64
PARTITIONS = 6

Sizes: TypeAlias = Mapping[str, float]
Measure: TypeAlias = Callable[[], dict[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """One mode's stores.

    Attributes:
        slots: Where they are.
        folder: The data folder.
        measures: What tells the bytes of each part.
    """

    slots: Slots
    folder: Path
    measures: Sequence[Measure]

    def parts(self) -> dict[str, int]:
        """Return the bytes of every part."""
        parts = Counter[str]()
        for measure in self.measures:
            parts.update(measure())
        return dict(parts)

    def open(self) -> AbstractAsyncContextManager[MemoryEngine]:
        """Open an engine on it."""
        return open_engine(
            slots=self.slots,
            registry=load_plugins().registry,
            context=BackendContext(data_folder=self.folder),
        )


class Bench:
    """Fills a house step by step, and sees what each step takes."""

    def __init__(self, house: House, sizes: tuple[int, int]) -> None:
        """Fill `house` to the first of `sizes` before anything is measured."""
        self._house = house
        self._small, self._large = sizes
        corpus = Corpus()
        self._memories = list(corpus.memories(0, self._large))
        self._rewritten = list(corpus.memories(0, self._large))[self._small :]
        self._question = corpus.text(6)

    async def run(self) -> dict[str, Sizes]:
        """Measure everything.

        Returns:
            Bytes by part, of a memory, of a kept version of one, and of a link. Of a memory also
            how many bytes its payload has, how many of it are kept in main memory, and how
            many seconds of a processor it took to embed, store and index it, without those of
            the servers.
        """
        await self._store(self._memories[: self._small])
        before = self._resident()
        states = [self._house.parts()]
        seconds = await self._store(self._memories[self._small :])
        after = self._resident()
        states.append(self._house.parts())
        await self._store(self._rewritten)
        states.append(self._house.parts())
        await self._link(self._memories[self._small :])
        states.append(self._house.parts())
        added = self._large - self._small
        memory, version, link = (
            {name: (size - smaller[name]) / added for name, size in larger.items()}
            for smaller, larger in pairwise(states)
        )
        payloads = encoded(self._memories[self._small :])
        memory["payload"] = sum(map(len, payloads)) / added
        for name, grown in after.items():
            memory[name] = (grown - before[name]) / added
        memory["processor"] = seconds / added
        return {"memory": memory, "version": version, "link": link}

    async def _store(self, memories: Sequence[NewMemory]) -> float:
        """Store memories, and return the processor time until they are indexed, in seconds."""
        async with self._house.open() as engine:
            begin = _processor_seconds()
            for at in range(0, len(memories), BULK):
                await engine.store_many(SPACE, memories[at : at + BULK])
            await self._settle(engine)
            return _processor_seconds() - begin

    async def _link(self, memories: Sequence[NewMemory]) -> None:
        waiting = pairwise([self._memories[self._small - 1], *memories])

        async def client() -> None:
            for source, target in waiting:
                await engine.link(SPACE, source.coordinate, target.coordinate)

        async with self._house.open() as engine:
            await asyncio.gather(*(client() for _ in range(LINKS_AT_ONCE)))
            await self._settle(engine)

    async def _settle(self, engine: MemoryEngine) -> None:
        """Wait until nothing waits to be indexed or published, and nobody works."""
        while any(port.backlog for port in (await engine.health()).ports.values()):  # noqa: ASYNC110 - it is only told when asked
            await asyncio.sleep(0.05)
        await quiet()

    def _resident(self) -> dict[str, int]:
        """Return the memory of processes that have searched and have nothing else to do."""
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            return process.submit(resident_bytes, self._house, self._question).result()


def _processor_seconds() -> float:
    """Return the processor time of this process and of the worker of Qdrant's engine."""
    own = psutil.Process()
    workers = [each for each in own.children(recursive=True) if each.exe() == own.exe()]
    # Of each, with that of its children that have ended: they extend graphs.
    return sum(sum(each.cpu_times()[:4]) for each in (own, *workers))


def resident_bytes(house: House, question: str) -> dict[str, int]:
    """Open the stores, ask them once, and return what this process and its worker hold.

    What is `anonymous` has to be in main memory. The rest of what is `resident` are parts of
    files, which the system may let go and read again.
    """

    async def ask() -> dict[str, int]:
        async with house.open() as engine:
            await engine.recall(SPACE, RecallQuery(text=question))
            await quiet()
            own = psutil.Process()
            held = [each.memory_info() for each in (own, *own.children(recursive=True))]
            resident = sum(each.rss for each in held)
            return {
                "resident": resident,
                "anonymous": resident - sum(getattr(each, "shared", 0) for each in held),
            }

    return asyncio.run(ask())


def measure(mode: str, sizes: tuple[int, int]) -> dict[str, Sizes]:
    """Measure one mode on servers that end with it."""
    with tempfile.TemporaryDirectory(prefix="sfm-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        house = _house(mode, folder, stack)
        return asyncio.run(Bench(house, sizes).run())


def _house(mode: str, folder: Path, stack: ExitStack) -> House:
    data = folder / "data"
    data.mkdir()
    if mode == "embedded":
        slots = Slots(
            kv="sqlite:", vector="sqlite:", graph="sqlite:", cache="memory:", embedder="static:"
        )
        return House(slots=slots, folder=data, measures=[partial(sqlite_parts, data / "sfm.db")])
    redis = stack.enter_context(redis_at(folder / "redis"))
    brokers = stack.enter_context(kafka_at(folder / "kafka"))
    measures: list[Measure] = [
        partial(folder_parts, data / "qdrant", "vectors"),
        partial(topic_parts, folder / "kafka", "memory.events"),
    ]
    if mode == "development":
        truth = redis
        measures.append(partial(redis_parts, redis))
    else:
        truth = make_database(stack.enter_context(postgres_at(folder / "postgres")))
        measures.append(partial(postgres_parts, truth))
    events = f"kafka://{brokers}/memory.events?partitions={PARTITIONS}"
    slots = Slots(
        kv=truth,
        vector="qdrant+edge:",
        graph=truth,
        cache=redis,
        embedder="static:",
        events=events,
    )
    return House(slots=slots, folder=data, measures=measures)


def tell(mode: str, sizes: Mapping[str, Sizes]) -> None:
    """Print the figures of one mode."""
    print(f"\n{mode}, bytes")
    for thing, parts in sizes.items():
        told = "   ".join(f"{name} {size:,.0f}" for name, size in sorted(parts.items()))
        print(f"  {thing:<8} {told}", flush=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.sizes", description=__doc__)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--sizes", type=int, nargs=2, default=[5_000, 20_000])
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    small, large = options.sizes
    figures: dict[str, dict[str, Sizes]] = {}
    for mode in options.modes:
        figures[mode] = measure(mode, (small, large))
        tell(mode, figures[mode])
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
