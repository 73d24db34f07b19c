"""Measure how fast memories go out and in over HTTP, and how much memory the server takes for it.

    python -m benchmarks.transfer [--memories 1000000] [--json figures.json]

A server in mode `embedded` imports made-up lines, exports them plainly and packed, and looks
through them for a filter; a second one imports the export. The memory of each is looked at five
times a second; what stands beside the most is what the server held when it had answered its first
request. The cheapest embedder is the default, because embedding is not what is measured here.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from benchmarks.corpus import Corpus
from benchmarks.measuring import Results, disk_mebibytes
from benchmarks.over_http import server

LOOKS_PER_SECOND = 5
BLOCK = 64 * 1024
_LINES = {"Content-Type": "application/x-ndjson"}
_PATIENCE_SECONDS = 60
_LONGEST_SECONDS = 24 * 3600


@dataclass(slots=True)
class Watch:
    """What a process and its children hold, in MiB.

    Attributes:
        process: The process.
        most: The most that was seen.
    """

    process: psutil.Process
    most: float = 0.0

    def look(self) -> float:
        """Return what they hold now."""
        held = 0
        for one in (self.process, *self.process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                held += one.memory_info().rss
        self.most = max(self.most, held / 1024**2)
        return held / 1024**2

    async def keep(self) -> None:
        """Look again and again."""
        while True:
            self.look()
            await asyncio.sleep(1 / LOOKS_PER_SECOND)


class Measured:
    """A server that is watched, and a client of it."""

    def __init__(self, results: Results, http: httpx.AsyncClient, watch: Watch, name: str) -> None:
        """Tell `results` what happens to it."""
        self._results = results
        self._http = http
        self._watch = watch
        self._name = name

    @asynccontextmanager
    async def work(self, what: str, count: int) -> AsyncGenerator[None]:
        """Tell how fast some work went, and the most that the server held meanwhile."""
        before = self._watch.look()
        self._watch.most = 0.0
        looking = asyncio.create_task(self._watch.keep())
        begin = time.perf_counter()
        try:
            yield
        finally:
            looking.cancel()
        elapsed = time.perf_counter() - begin
        name = f"{self._name}: {what}"
        self._results.tell(name, count / elapsed, "/s")
        self._results.tell(f"{name}, memory at most", self._watch.most, "MiB", raw=before)

    async def load(self, lines: AsyncIterable[bytes], count: int, what: str) -> None:
        """Import lines.

        Args:
            lines: Blocks of them.
            count: How many there are.
            what: How to call it.

        Raises:
            RuntimeError: Not all of them were taken.
        """
        async with self.work(what, count):
            answer = await self._http.post("/import_memories", content=lines, headers=_LINES)
        if answer.json().get("imported") != count:
            raise RuntimeError(answer.text[:1000])

    async def export(self, file: Path, count: int, coding: str) -> None:
        """Export everything to a file as it comes."""
        wanted = {"Accept-Encoding": coding}
        size = 0
        async with self.work(f"export, {coding}", count):
            with file.open("wb") as out:
                async with self._http.stream("GET", "/export_memories", headers=wanted) as answer:
                    async for part in answer.aiter_raw():
                        size += out.write(part)
        self._results.tell(f"size, {coding}", size / 1024**2, "MiB")

    async def count(self, count: int) -> None:
        """Look through everything for a filter that picks a hundredth."""
        body: dict[str, object] = {"namespace": "bench", "filters": {"hundredth": 7}}
        body |= {"dry_run": True, "limit": 50_000}
        matched = 0
        async with self.work("delete_many by filter, dry run", count):
            while True:
                answer = (await self._http.post("/delete_many", json=body)).json()
                matched += answer["matched"]
                if "next_cursor" not in answer:
                    break
                body["cursor"] = answer["next_cursor"]
        self._results.tell("picked by the filter", matched, "")


@asynccontextmanager
async def measured(
    results: Results, data: Path, embedder: str, name: str
) -> AsyncGenerator[Measured]:
    """Start a server on a folder, and wait until it answers."""
    with server(data, embedder) as (process, port):
        url = f"http://127.0.0.1:{port}"
        async with httpx.AsyncClient(base_url=url, timeout=_LONGEST_SECONDS) as http:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                while True:
                    if await _answers(http):
                        break
                    await asyncio.sleep(0.05)
            await http.post("/store", json={"coord": "0", "payload": {}, "namespace": "warm"})
            yield Measured(results, http, Watch(psutil.Process(process.pid)), name)


async def _answers(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/healthz")).is_success
    except httpx.TransportError:
        return False


async def made_up(count: int) -> AsyncGenerator[bytes]:
    """Make up lines of memories, in blocks."""
    corpus = Corpus(seed=1)
    block = bytearray()
    for number in range(count):
        payload = {"text": corpus.text(), "hundredth": number % 100}
        line = {"namespace": "bench", "coord": [number // 1000, number % 1000], "payload": payload}
        block += json.dumps(line).encode() + b"\n"
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
    yield bytes(block)


async def read(file: Path) -> AsyncGenerator[bytes]:
    """Read a file in blocks."""
    with file.open("rb") as source:
        while block := source.read(BLOCK):
            yield block


async def run(results: Results, folder: Path, count: int, embedder: str) -> None:
    """Measure everything."""
    file = folder / "export"
    async with measured(results, folder / "first", embedder, "first server") as first:
        results.title(f"{count} memories")
        await first.load(made_up(count), count, "import of plain lines")
        for coding in ("zstd", "gzip", "identity"):
            await first.export(file, count + 1, coding)
        await first.count(count)
    results.tell("data folder", disk_mebibytes(folder / "first"), "MiB")
    async with measured(results, folder / "second", embedder, "second server") as second:
        await second.load(read(file), count + 1, "import of the export")
        await second.load(read(file), count + 1, "the same import once more")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.transfer", description=__doc__)
    parser.add_argument("--memories", type=int, default=1_000_000)
    parser.add_argument("--embedder", default="hashing:", help="URL of an embedder")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    results = Results()
    with tempfile.TemporaryDirectory(prefix="sfm-bench-") as name:
        for folder in ("first", "second"):
            (Path(name) / folder).mkdir()
        asyncio.run(run(results, Path(name), options.memories, options.embedder))
    if options.json:
        text = json.dumps(results.figures, indent=2)
        options.json.write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
