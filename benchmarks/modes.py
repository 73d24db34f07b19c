"""Measure each mode on real servers, beside the drivers alone doing the same work in the same run.

    python -m benchmarks.modes [--modes development] [--sizes 10000] [--json FILE]

`cloud_managed` is `evented_enterprise` on other servers, so it is not measured apart. The drivers
embed a text, read, commit, upsert the vector and acknowledge; and embed a question, search and
read what was found. Embedder and vector store are called directly, without the engine.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

from benchmarks.corpus import Corpus
from benchmarks.driven import Driven
from benchmarks.measuring import Call, Results, Stopwatch, Times, quiet, timed
from benchmarks.raw_stores import RawStore, raw_postgres, raw_redis, raw_sqlite
from benchmarks.services import postgres_at, redis_at
from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.query import RecallQuery
from sfm_core.plugins import load_plugins
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.registry import BackendContext
from sfm_core.settings import EngineSettings, Slots

MODES = ("embedded", "development", "evented_enterprise")
SPACE = "bench"
SINGLE = 300
AT_ONCE = 64
CONCURRENT = 2000
BULK = 1000
BULK_ROUNDS = 20
QUESTIONS = 300
TOP_K = 10
SPARE = 10
TURN = 30
SETTINGS = EngineSettings()
VECTORS = "qdrant+edge:"

OpenRaw = Callable[[], AbstractAsyncContextManager[RawStore]]


class Bench:
    """One mode on servers of its own."""

    def __init__(self, mode: str, slots: Slots, open_raw: OpenRaw, folder: Path) -> None:
        """Use the plugins that are installed."""
        self._mode = mode
        self._slots = slots
        self._open_raw = open_raw
        self._data = folder / "data"
        self._context = BackendContext(data_folder=self._data)
        self._results = Results()
        self._corpus = Corpus()
        self._registry = load_plugins().registry

    async def run(self, size: int) -> dict[str, float]:
        """Measure everything at one size.

        Args:
            size: How many memories there are when recall is measured.

        Returns:
            The figures by name.
        """
        self._data.mkdir()
        self._results.title(f"{self._mode}, {size:,} memories, load {os.getloadavg()[0]:.1f}")
        kv = self._registry.create_kv(self._slots.kv, self._context)
        async with self._engine() as engine, self._driven() as driven, kv:
            settle = partial(settled, kv)
            # As the server does.
            gc.collect()
            gc.freeze()
            single = await self._write_singly(engine, driven, settle)
            await self._write_concurrently(engine, driven, single)
            await self._write_in_bulk(engine, driven, settle, size)
            await self._recall(engine, driven)
        return self._results.figures

    async def _write_singly(self, engine: MemoryEngine, driven: Driven, settle: Call) -> Times:
        memories = list(self._corpus.memories(0, SINGLE))
        # The first writes load the model and make the index.
        await engine.store(SPACE, memories[0])
        await driven.store(memories[:1])
        await settle()
        ours, theirs = Stopwatch(), Stopwatch()
        for start in range(1, SINGLE, TURN):
            part = memories[start : start + TURN]
            await ours.take([partial(engine.store, SPACE, memory) for memory in part], settle)
            await theirs.take([partial(driven.store, [memory]) for memory in part])
        self._tell("store, one at a time", ours.times(), theirs.times())
        return theirs.times()

    async def _write_concurrently(
        self, engine: MemoryEngine, driven: Driven, single: Times
    ) -> None:
        memories = list(self._corpus.memories(SINGLE, SINGLE + CONCURRENT))
        waiting = iter(memories)

        async def client() -> None:
            for memory in waiting:
                await engine.store(SPACE, memory)

        begin = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(AT_ONCE)))
        rate = CONCURRENT / (time.perf_counter() - begin)
        name = f"store, {AT_ONCE} tasks, beside one at a time"
        self._results.tell(name, rate, "/s", raw=single.rate)
        await driven.keep(memories)

    async def _write_in_bulk(
        self, engine: MemoryEngine, driven: Driven, settle: Call, size: int
    ) -> None:
        starts = range(SINGLE + CONCURRENT, size, BULK)
        compared = starts[:: max(1, len(starts) // BULK_ROUNDS)]
        ours, theirs = Stopwatch(), Stopwatch()
        for start in starts:
            batch = list(self._corpus.memories(start, min(start + BULK, size)))
            store = partial(engine.store_many, SPACE, batch)
            if start in compared:
                await ours.take([store], settle)
                await theirs.take([partial(driven.store, batch)])
            else:
                await store()
                await driven.keep(batch)
        self._tell("store_many of 1,000", ours.times(), theirs.times())

    async def _recall(self, engine: MemoryEngine, driven: Driven) -> None:
        texts = self._corpus.questions(QUESTIONS)
        read = TOP_K + SPARE
        calls = [
            partial(engine.recall, SPACE, RecallQuery(text=text, top_k=TOP_K)) for text in texts
        ]
        raw = [partial(driven.recall, SPACE, text, read=read) for text in texts]
        # The first questions have indexes loaded, and the graphs in them made.
        await timed([*calls, *raw])
        self._results.tell("until all is quiet", await quiet(), "s")
        ours, theirs = Stopwatch(), Stopwatch()
        for start in range(0, QUESTIONS, TURN):
            await ours.take(calls[start : start + TURN])
            await theirs.take(raw[start : start + TURN])
        self._tell("recall", ours.times(), theirs.times())
        self._results.tell("recall: p99", ours.times().p99, "ms", raw=theirs.times().p99)

    def _tell(self, name: str, ours: Times, theirs: Times) -> None:
        self._results.tell_times(name, ours)
        self._results.tell_times("  the same by the drivers", theirs)
        self._results.tell(f"{name}: p50", ours.p50, "ms", raw=theirs.p50)
        self._results.tell(f"{name}: processor time", ours.cpu, "ms", raw=theirs.cpu)

    def _engine(self) -> AbstractAsyncContextManager[MemoryEngine]:
        return open_engine(
            slots=self._slots, registry=self._registry, context=self._context, settings=SETTINGS
        )

    @asynccontextmanager
    async def _driven(self) -> AsyncGenerator[Driven]:
        async with (
            self._open_raw() as store,
            self._registry.create_embedder(self._slots.embedder, self._context) as embedder,
            self._registry.create_vector(self._slots.vector, self._context) as vectors,
        ):
            driven = Driven(store, embedder, vectors, SETTINGS)
            await driven.prepare()
            yield driven


async def settled(kv: KeyValueStore) -> None:
    """Wait until no note waits for an index any more."""
    while (await kv.outbox_status()).depth:  # noqa: ASYNC110 - nothing tells when it is empty
        await asyncio.sleep(0.005)


def measure(mode: str, size: int, embedder: str) -> dict[str, float]:
    """Measure one mode at one size on servers that end with it."""
    with tempfile.TemporaryDirectory(prefix="sfm-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        if mode == "embedded":
            truth, cache, vectors = "sqlite:", "memory:", "sqlite:"
            open_raw: OpenRaw = partial(raw_sqlite, folder)
        else:
            cache = truth = stack.enter_context(redis_at(folder / "redis"))
            vectors = VECTORS
            open_raw = partial(raw_redis, truth)
        if mode == "evented_enterprise":
            truth = stack.enter_context(postgres_at(folder / "postgres"))
            open_raw = partial(raw_postgres, truth)
        slots = Slots(kv=truth, vector=vectors, graph=truth, cache=cache, embedder=embedder)
        return asyncio.run(Bench(mode, slots, open_raw, folder).run(size))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.modes", description=__doc__)
    parser.add_argument("--modes", nargs="+", choices=MODES, default=list(MODES))
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000])
    parser.add_argument("--embedder", default="static:", help="URL of the embedder")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    figures: dict[str, dict[str, float]] = {}
    for mode, size in product(options.modes, options.sizes):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            run = process.submit(measure, mode, size, options.embedder)
            figures[f"{mode}, {size}"] = run.result()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
