"""Measure mode `embedded`, each figure beside its raw cost in the same run.

    python -m benchmarks.embedded [--sizes 10000 100000] [--embedder static:] [--json FILE]

Every size runs in a process of its own, on a new data folder.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import AbstractAsyncContextManager
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from benchmarks.bare import inserts_per_second, search_seconds
from benchmarks.corpus import Corpus
from benchmarks.measuring import Results, disk_mebibytes, peak_mebibytes, quiet, timed
from benchmarks.over_http import measure_server
from sfm_core.engine.assembly import open_engine
from sfm_core.engine.index import collection_for
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.memory import NewMemory
from sfm_core.model.payload import PayloadLimits, encode_payload
from sfm_core.model.query import RecallQuery
from sfm_core.plugins import load_plugins
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.vector import VectorQuery
from sfm_core.registry import BackendContext
from sfm_core.settings import EngineSettings, Slots
from sfm_core.text.analysis import Analyzer
from sfm_core.text.composing import own_text

SPACE = "bench"
SINGLE_WRITES = 500
CONCURRENT = 64
QUESTIONS = 500
TOP_K = 10
BATCH = 1000
SETTINGS = EngineSettings()


class Bench:
    """One engine on one folder, and what is measured on it."""

    def __init__(self, folder: Path, embedder: str) -> None:
        """Use the plugins that are installed."""
        self.folder = folder
        self.data = folder / "data"
        self.results = Results()
        self.corpus = Corpus()
        self.embedder_url = embedder
        self.registry = load_plugins().registry
        self.slots = Slots(
            kv="sqlite:", vector="sqlite:", graph="sqlite:", cache="memory:", embedder=embedder
        )

    async def run(self, size: int) -> dict[str, float]:
        """Measure everything at one size.

        Args:
            size: How many memories there are when recall is measured.

        Returns:
            The figures by name.
        """
        tell = self.results
        tell.title(f"{size:,} memories, embedder {self.embedder_url}")
        async with self._open() as engine:
            await self._write_singly(engine)
            await self._write_concurrently(engine)
            await self._write_in_bulk(engine, size)
            await self._recall(engine)
            tell.tell("memory of this process", peak_mebibytes(), "MiB")
            await self._compare_recall()
        tell.tell("files of the data folder", disk_mebibytes(self.data), "MiB")
        await self._start_again()
        await measure_server(tell, self.data, self.embedder_url, self.corpus)
        return tell.figures

    async def _write_singly(self, engine: MemoryEngine) -> None:
        memories = list(self.corpus.memories(0, SINGLE_WRITES))
        # The first write loads the model and makes the index.
        await engine.store(SPACE, memories[0])
        times = await timed([partial(engine.store, SPACE, memory) for memory in memories])
        self.results.tell_times("store, one at a time", times)
        bare = inserts_per_second(self.folder, encoded(memories), group=1)
        self.results.tell("store, one at a time", times.rate, "/s", raw=bare)

    async def _write_concurrently(self, engine: MemoryEngine) -> None:
        start_at = SINGLE_WRITES
        memories = list(self.corpus.memories(start_at, start_at + 2000))
        waiting = iter(memories)

        async def client() -> None:
            for memory in waiting:
                await engine.store(SPACE, memory)

        start = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CONCURRENT)))
        rate = len(memories) / (time.perf_counter() - start)
        bare = inserts_per_second(self.folder, encoded(memories), group=CONCURRENT)
        self.results.tell(f"store, {CONCURRENT} tasks", rate, "/s", raw=bare)

    async def _write_in_bulk(self, engine: MemoryEngine, size: int) -> None:
        memories = list(self.corpus.memories(SINGLE_WRITES + 2000, size))
        start = time.perf_counter()
        for at in range(0, len(memories), BATCH):
            await engine.store_many(SPACE, memories[at : at + BATCH])
        rate = len(memories) / (time.perf_counter() - start)
        sample = memories[:10_000]
        bare = inserts_per_second(self.folder, encoded(sample), group=BATCH)
        self.results.tell("store_many", rate, "/s", raw=bare)
        async with self.registry.create_embedder(self.slots.embedder, self._context()) as embedder:
            texts = [own_text(memory.payload, SETTINGS.text) for memory in sample[:2000]]
            await embedder.embed(texts[:10])
            start = time.perf_counter()
            for at in range(0, len(texts), BATCH):
                await embedder.embed(texts[at : at + BATCH])
            bare = len(texts) / (time.perf_counter() - start)
        self.results.tell("store_many beside embedding alone", rate, "/s", raw=bare)

    async def _recall(self, engine: MemoryEngine) -> None:
        queries = [RecallQuery(text=text, top_k=TOP_K) for text in self.corpus.questions(QUESTIONS)]
        calls = [partial(engine.recall, SPACE, query) for query in queries]
        for call in calls[:20]:
            await call()
        self.results.tell_times("recall just after writing", await timed(calls[:100]))
        self.results.tell("until the index is complete", await quiet(), "s")
        times = await timed(calls)
        self.results.tell_times("recall, one at a time", times)
        waiting = iter(queries * 2)

        async def client() -> None:
            for query in waiting:
                await engine.recall(SPACE, query)

        start = time.perf_counter()
        await asyncio.gather(*(client() for _ in range(CONCURRENT)))
        rate = 2 * len(queries) / (time.perf_counter() - start)
        self.results.tell(f"recall, {CONCURRENT} tasks", rate, "/s", raw=times.rate)

    async def _compare_recall(self) -> None:
        """Embed and search as recall does, and search with libraries alone."""
        analyzer = Analyzer(SETTINGS.text.language)
        texts = self.corpus.questions(QUESTIONS)
        context = self._context()
        async with (
            self.registry.create_embedder(self.slots.embedder, context) as embedder,
            self.registry.create_vector(self.slots.vector, context) as store,
        ):
            collection = collection_for(embedder.fingerprint, SETTINGS.text)

            async def embed_and_search(text: str) -> None:
                [vector] = await embedder.embed([text])
                query = VectorQuery(
                    namespace=SPACE,
                    limit=SETTINGS.ranking.candidates,
                    vector=vector,
                    terms=analyzer.terms(text),
                )
                await store.search(collection, [query])

            for text in texts[:20]:
                await embed_and_search(text)
            embedding = await timed([partial(embedder.embed, [text]) for text in texts])
            both = await timed([partial(embed_and_search, text) for text in texts])
            self.results.tell_times("embedding a question alone", embedding)
            self.results.tell_times("embedding and hybrid search alone", both)
            recalled = self.results.figures["recall, one at a time cpu"]
            self.results.tell("recall, processor time", recalled, "ms", raw=both.cpu)
            self.results.tell("what the engine adds to both", recalled - both.cpu, "ms")
            await self._compare_search(embedder, texts)

    async def _compare_search(self, embedder: Embedder, texts: Sequence[str]) -> None:
        stored = [self.corpus.text() for _ in range(int(self.results.figures["size"]))]
        batches = [stored[at : at + BATCH] for at in range(0, len(stored), BATCH)]
        vectors = np.concatenate([await embedder.embed(batch) for batch in batches])
        queries = np.concatenate([await embedder.embed([text]) for text in texts[:100]])
        found = search_seconds(vectors, queries, limit=SETTINGS.ranking.candidates)
        for library, seconds in found.items():
            self.results.tell(f"vector search with {library} alone", seconds * 1e3, "ms")

    async def _start_again(self) -> None:
        start = time.perf_counter()
        async with self._open() as engine:
            await engine.recall(SPACE, RecallQuery(text=self.corpus.text(6)))
            taken = time.perf_counter() - start
        self.results.tell("from opening the engine to an answer", taken, "s")

    def _context(self) -> BackendContext:
        return BackendContext(data_folder=self.data)

    def _open(self) -> AbstractAsyncContextManager[MemoryEngine]:
        return open_engine(
            slots=self.slots, registry=self.registry, context=self._context(), settings=SETTINGS
        )


def encoded(memories: Sequence[NewMemory]) -> list[bytes]:
    """Return the bytes that the truth must keep."""
    limits = PayloadLimits()
    return [encode_payload(memory.payload, limits) for memory in memories]


def measure(size: int, embedder: str) -> dict[str, float]:
    """Measure one size on a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="sfm-bench-") as folder:
        bench = Bench(Path(folder), embedder)
        bench.results.figures["size"] = size
        return asyncio.run(bench.run(size))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.embedded", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--embedder", default="static:", help="URL of the embedder")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    figures: dict[int, dict[str, float]] = {}
    for size in options.sizes:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
            figures[size] = process.submit(measure, size, options.embedder).result()
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
