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
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager
from functools import partial
from itertools import zip_longest
from pathlib import Path

from benchmarks.corpus import Corpus
from benchmarks.embedded import encoded, quiet
from benchmarks.measuring import Results, Times, summary, timed
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
BULK_ROUNDS = 5
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
        async with self._engine() as engine, self._driven() as driven:
            single = await self._write_singly(engine, driven)
            await self._write_concurrently(engine, single)
            await self._write_in_bulk(engine, driven, size)
            self._results.tell("until all is quiet", await quiet(), "s")
            await self._recall(engine, driven)
        return self._results.figures

    async def _write_singly(self, engine: MemoryEngine, driven: Driven) -> Times:
        memories = list(self._corpus.memories(0, SINGLE))
        # The first writes load the model and make the index.
        await engine.store(SPACE, memories[0])
        await driven.store(memories[:1])
        ours, theirs = await in_turn(
            [partial(engine.store, SPACE, memory) for memory in memories[1:]],
            [partial(driven.store, [memory]) for memory in memories[1:]],
        )
        self._tell("store, one at a time", ours, theirs)
        return theirs

    async def _write_concurrently(self, engine: MemoryEngine, single: Times) -> None:
        waiting = iter(self._corpus.memories(SINGLE, SINGLE + CONCURRENT))

        async def client() -> None:
            for memory in waiting:
                await engine.store(SPACE, memory)

        begin = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(AT_ONCE)))
        rate = CONCURRENT / (time.perf_counter() - begin)
        name = f"store, {AT_ONCE} tasks, beside one at a time"
        self._results.tell(name, rate, "/s", raw=single.rate)

    async def _write_in_bulk(self, engine: MemoryEngine, driven: Driven, size: int) -> None:
        rest = list(self._corpus.memories(SINGLE + CONCURRENT, size))
        batches = [rest[at : at + BULK] for at in range(0, len(rest), BULK)]
        ours, theirs = await in_turn(
            [partial(engine.store_many, SPACE, batch) for batch in batches],
            [partial(driven.store, batch) for batch in batches[:BULK_ROUNDS]],
        )
        self._tell("store_many of 1,000", ours, theirs)

    async def _recall(self, engine: MemoryEngine, driven: Driven) -> None:
        texts = self._corpus.questions(QUESTIONS + 20)
        keys = keys_of(list(self._corpus.memories(0, TOP_K + 10)))
        calls = [
            partial(engine.recall, SPACE, RecallQuery(text=text, top_k=TOP_K)) for text in texts
        ]
        raw = [partial(driven.recall, text, keys) for text in texts]
        await in_turn(calls[:20], raw[:20])
        ours, theirs = await in_turn(calls[20:], raw[20:])
        self._tell("recall", ours, theirs)
        self._results.tell("recall: p99", ours.p99, "ms", raw=theirs.p99)

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
            driven = Driven(store, embedder, vectors)
            await driven.prepare()
            yield driven


async def in_turn(
    ours: Sequence[Callable[[], Awaitable[object]]],
    theirs: Sequence[Callable[[], Awaitable[object]]],
) -> tuple[Times, Times]:
    """Make calls of two kinds in turn, so that both see the same weather.

    Args:
        ours: Calls of one kind.
        theirs: Calls of the other; there may be fewer.

    Returns:
        How long each kind took.
    """
    taken: tuple[list[Times], list[Times]] = ([], [])
    for one, other in zip_longest(ours, theirs):
        for call, times in zip((one, other), taken, strict=True):
            if call is not None:
                times.append(await timed([call]))
    first, second = (combined(times) for times in taken)
    return first, second


def combined(calls: Sequence[Times]) -> Times:
    """Sum up calls that were timed one by one."""
    seconds = [call.p50 / 1e3 for call in calls]
    return summary(seconds, elapsed=sum(seconds), cpu=sum(call.cpu for call in calls) / 1e3)


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
