"""Measure each mode on real servers, beside the drivers alone doing the same work in the same run.

    python -m benchmarks.modes [--modes development] [--sizes 10000] [--json FILE]

`cloud_managed` is `evented_enterprise` on other servers, so it is not measured apart. The drivers
embed a text, read, commit, upsert the vector and acknowledge; and embed a question, search and
read. Embedder and vector store are called directly, without the engine.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from benchmarks.corpus import Corpus
from benchmarks.embedded import encoded, quiet
from benchmarks.measuring import Results, Times, timed
from benchmarks.raw_stores import RawStore, raw_postgres, raw_redis, raw_sqlite
from benchmarks.services import postgres_at, redis_at
from sfm_core.engine.assembly import open_engine
from sfm_core.engine.index import collection_for
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.memory import NewMemory
from sfm_core.model.query import RecallQuery
from sfm_core.plugins import load_plugins
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.vector import Collection, Point, PointId, VectorQuery, VectorStore
from sfm_core.registry import BackendContext
from sfm_core.settings import EngineSettings, Slots
from sfm_core.text.analysis import Analyzer
from sfm_core.text.composing import own_text

MODES = ("embedded", "development", "evented_enterprise")
SPACE = "bench"
SINGLE = 300
AT_ONCE = 64
CONCURRENT = 2000
BULK = 1000
QUESTIONS = 300
TOP_K = 10
SETTINGS = EngineSettings()
VECTORS = "qdrant+edge:"

OpenRaw = Callable[[], AbstractAsyncContextManager[RawStore]]


class Driven:
    """The work of a memory, done by hand."""

    def __init__(self, store: RawStore, embedder: Embedder, vectors: VectorStore) -> None:
        """Use what is open."""
        self._store = store
        self._embedder = embedder
        self._vectors = vectors
        self._analyzer = Analyzer(SETTINGS.text.language)
        self._collection: Collection = collection_for(embedder.fingerprint, SETTINGS.text)

    async def prepare(self) -> None:
        """Make the collection."""
        await self._vectors.ensure(self._collection)

    async def commit(self, memories: Sequence[NewMemory]) -> None:
        """Read and commit, without an index."""
        rows = list(zip(keys_of(memories), encoded(memories), strict=True))
        await self._store.read([key for key, _ in rows])
        await self._store.commit(rows)

    async def store(self, memories: Sequence[NewMemory]) -> None:
        """Do what storing memories takes."""
        texts = [own_text(memory.payload, SETTINGS.text) for memory in memories]
        embedded = await self._embedder.embed(texts)
        await self.commit(memories)
        points = [
            Point(
                id=PointId(namespace="raw", coordinate=memory.coordinate),
                version=1,
                type=memory.type,
                payload=memory.payload,
                vector=vector,
                terms=self._analyzer.terms(text),
            )
            for memory, vector, text in zip(memories, embedded, texts, strict=True)
        ]
        await self._vectors.upsert(self._collection, points)
        await self._store.acknowledge(keys_of(memories))

    async def recall(self, text: str, keys: Sequence[bytes]) -> None:
        """Do what a recall takes."""
        [vector] = await self._embedder.embed([text])
        query = VectorQuery(
            namespace=SPACE,
            limit=SETTINGS.ranking.candidates,
            vector=vector,
            terms=self._analyzer.terms(text),
        )
        await self._vectors.search(self._collection, [query])
        await self._store.read(keys)


class Bench:
    """One mode on servers of its own."""

    def __init__(self, mode: str, slots: Slots, open_raw: OpenRaw, folder: Path) -> None:
        """Use the plugins that are installed."""
        self._mode = mode
        self._slots = slots
        self._open_raw = open_raw
        self._data = folder / "data"
        self._results = Results()
        self._corpus = Corpus()
        self._registry = load_plugins().registry
        self._raw_single = 0.0

    async def run(self, size: int) -> dict[str, float]:
        """Measure everything at one size.

        Args:
            size: How many memories there are when recall is measured.

        Returns:
            The figures by name.
        """
        self._data.mkdir()
        self._results.title(f"{self._mode}, {size:,} memories, load {os.getloadavg()[0]:.1f}")
        memories = list(self._corpus.memories(0, size))
        raw = list(self._corpus.memories(size, size + SINGLE + BULK))
        async with self._driven() as driven:
            await driven.store(raw[:1])
            single = await timed([partial(driven.store, [memory]) for memory in raw[1:SINGLE]])
            begin = time.perf_counter()
            await driven.store(raw[SINGLE:])
            bulk = BULK / (time.perf_counter() - begin)
        await self._write(memories, single, bulk)
        async with self._engine() as engine:
            recalled = await self._recall(engine)
        await self._compare(recalled, keys_of(raw[: TOP_K + 10]))
        return self._results.figures

    async def _write(self, memories: list[NewMemory], single: Times, bulk: float) -> None:
        tell = self._results
        async with self._engine() as engine:
            await engine.store(SPACE, memories[0])
            times = await timed([partial(engine.store, SPACE, each) for each in memories[1:SINGLE]])
            tell.tell_times("store, one at a time", times)
            tell.tell_times("the same by the drivers", single)
            tell.tell("store, one at a time: p50", times.p50, "ms", raw=single.p50)
            waiting = iter(memories[SINGLE : SINGLE + CONCURRENT])

            async def client() -> None:
                for memory in waiting:
                    await engine.store(SPACE, memory)

            begin = time.perf_counter()
            await asyncio.gather(*(client() for _ in range(AT_ONCE)))
            rate = CONCURRENT / (time.perf_counter() - begin)
            tell.tell(f"store, {AT_ONCE} tasks, beside one at a time", rate, "/s", raw=single.rate)
            rest = memories[SINGLE + CONCURRENT :]
            taken = await timed(
                [
                    partial(engine.store_many, SPACE, rest[at : at + BULK])
                    for at in range(0, len(rest), BULK)
                ]
            )
            tell.tell("store_many of 1,000", taken.p50, "ms", raw=BULK / bulk * 1e3)
            tell.tell("until all is quiet", await quiet(), "s")

    async def _recall(self, engine: MemoryEngine) -> Times:
        queries = [
            RecallQuery(text=text, top_k=TOP_K) for text in self._corpus.questions(QUESTIONS)
        ]
        for query in queries[:20]:
            await engine.recall(SPACE, query)
        times = await timed([partial(engine.recall, SPACE, query) for query in queries])
        self._results.tell_times("recall, one at a time", times)
        return times

    async def _compare(self, recalled: Times, keys: Sequence[bytes]) -> None:
        texts = self._corpus.questions(QUESTIONS)
        async with self._driven() as driven:
            for text in texts[:20]:
                await driven.recall(text, keys)
            raw = await timed([partial(driven.recall, text, keys) for text in texts])
        self._results.tell_times("the same by the drivers", raw)
        self._results.tell("recall: p50", recalled.p50, "ms", raw=raw.p50)
        self._results.tell("recall: p99", recalled.p99, "ms", raw=raw.p99)

    def _engine(self) -> AbstractAsyncContextManager[MemoryEngine]:
        return open_engine(
            slots=self._slots, registry=self._registry, context=self._context(), settings=SETTINGS
        )

    @asynccontextmanager
    async def _driven(self) -> AsyncGenerator[Driven]:
        context = self._context()
        async with (
            self._open_raw() as store,
            self._registry.create_embedder(self._slots.embedder, context) as embedder,
            self._registry.create_vector(self._slots.vector, context) as vectors,
        ):
            driven = Driven(store, embedder, vectors)
            await driven.prepare()
            yield driven

    def _context(self) -> BackendContext:
        return BackendContext(data_folder=self._data)


def keys_of(memories: Sequence[NewMemory]) -> list[bytes]:
    """Return a key for each memory."""
    return [str(memory.coordinate).encode() for memory in memories]


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
    figures = {
        f"{mode}, {size}": measure(mode, size, options.embedder)
        for mode in options.modes
        for size in options.sizes
    }
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
