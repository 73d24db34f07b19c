"""How well recall finds what was said: questions about conversations, with known answers.

    python -m benchmarks.recall --memories FILE --questions FILE
    python -m benchmarks.recall --memories FILE --questions FILE --url http://localhost:9595

Without `--url`, an engine is opened in this process, once per `--embedder`.
Each line of the memories is `{"namespace", "coord", "type", "payload"}`, each
line of the questions `{"namespace", "query", "category", "evidence"}`, where
the evidence is the coordinates of the memories that hold the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.query import RecallQuery
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots

DEPTHS = (1, 5, 10, 20)
CUTOFF = 10
"""Where MRR and nDCG stop looking."""

ARMS: Mapping[str, frozenset[str]] = {
    "keyword": frozenset({"keyword"}),
    "dense": frozenset({"dense"}),
    "hybrid": frozenset({"keyword", "dense"}),
}
_IN_FLIGHT = 8


class Question(msgspec.Struct, frozen=True):
    """One question and where its answer is."""

    namespace: str
    query: str
    evidence: list[list[float]]
    category: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good one ranking is, or how good many are on average; each 0 to 1."""

    recall: tuple[float, ...]
    mrr: float
    ndcg: float


Ask = Callable[[Question, str], Awaitable[list[Coordinate]]]
"""Answers a question with some arms: the coordinates found, best first."""


def judge(found: Sequence[Coordinate], evidence: Sequence[Coordinate]) -> Quality:
    """Judge one ranking.

    Args:
        found: What was found, best first.
        evidence: What should have been; at least one.

    Returns:
        Recall at each of `DEPTHS`, and MRR and nDCG with binary gain.
    """
    wanted = set(evidence)
    hits = [coordinate in wanted for coordinate in found]
    first = next((rank for rank, hit in enumerate(hits[:CUTOFF], 1) if hit), 0)
    gain = math.fsum(1 / math.log2(rank + 1) for rank, hit in enumerate(hits[:CUTOFF], 1) if hit)
    ideal = math.fsum(1 / math.log2(rank + 1) for rank in range(1, min(len(wanted), CUTOFF) + 1))
    return Quality(
        recall=tuple(sum(hits[:depth]) / len(wanted) for depth in DEPTHS),
        mrr=1 / first if first else 0.0,
        ndcg=gain / ideal,
    )


def average(qualities: Sequence[Quality]) -> Quality:
    """Average over questions, each counting the same."""
    count = len(qualities)
    return Quality(
        recall=tuple(
            math.fsum(quality.recall[at] for quality in qualities) / count
            for at in range(len(DEPTHS))
        ),
        mrr=math.fsum(quality.mrr for quality in qualities) / count,
        ndcg=math.fsum(quality.ndcg for quality in qualities) / count,
    )


def read_questions(path: Path) -> list[Question]:
    """Read a file of questions, a JSON object a line."""
    lines = path.read_bytes().splitlines()
    return [msgspec.json.decode(line, type=Question) for line in lines if line.strip()]


async def ask_all(questions: Sequence[Question], ask: Ask, arms: str) -> list[Quality]:
    """Ask every question, some at a time, and judge the answers."""
    places = asyncio.Semaphore(_IN_FLIGHT)

    async def one(question: Question) -> Quality:
        async with places:
            found = await ask(question, arms)
        return judge(found, [Coordinate.of(place) for place in question.evidence])

    return list(await asyncio.gather(*map(one, questions)))


def table(title: str, questions: Sequence[Question], qualities: Sequence[Quality]) -> str:
    """Lay out the figures: overall, then by category, then by namespace."""
    groups: dict[str, list[Quality]] = defaultdict(list)
    for question, quality in zip(questions, qualities, strict=True):
        groups["overall"].append(quality)
        groups[f"category {question.category}"].append(quality)
        groups[f"namespace {question.namespace}"].append(quality)
    heads = [*(f"recall@{depth}" for depth in DEPTHS), f"MRR@{CUTOFF}", f"nDCG@{CUTOFF}"]
    lines = [f"{title:<30}{'n':>6}" + "".join(f"{head:>11}" for head in heads)]
    for name in sorted(groups, key=lambda name: (name != "overall", name)):
        mean = average(groups[name])
        figures = (*mean.recall, mean.mrr, mean.ndcg)
        cells = "".join(f"{figure:>11.4f}" for figure in figures)
        lines.append(f"  {name:<28}{len(groups[name]):>6}{cells}")
    return "\n".join(lines)


async def measure_engine(
    memories: Path, questions: Sequence[Question], *, embedder: str, store: str
) -> None:
    """Import into a fresh engine in this process, ask, and print the figures.

    Args:
        memories: File to import.
        questions: What to ask.
        embedder: URL of the embedder.
        store: URL of the truth, the vectors and the graph.
    """
    slots = Slots(kv=store, vector=store, graph=store, cache="memory:", embedder=embedder)
    registry = load_plugins().registry
    with tempfile.TemporaryDirectory(prefix="sfm-recall-") as folder:
        context = BackendContext(data_folder=Path(folder))
        async with open_engine(slots=slots, registry=registry, context=context) as engine:
            started = time.perf_counter()
            report = await engine.import_lines(_lines(memories), default_namespace="default")
            taken = time.perf_counter() - started
            print(f"{embedder} on {store} {report.imported} memories imported in {taken:.1f} s")
            await _measure(questions, _engine_asker(engine), embedder)


async def measure_server(memories: bytes, questions: Sequence[Question], *, url: str) -> None:
    """Import into a running server, ask it, and print the figures.

    Args:
        memories: Content of the file to import.
        questions: What to ask.
        url: Where the server listens.
    """
    async with httpx.AsyncClient(base_url=url, timeout=120.0) as client:
        response = await client.post(
            "/import_memories",
            content=memories,
            headers={"Content-Type": "application/x-ndjson"},
        )
        response.raise_for_status()
        print(f"{url} {response.text.strip()}")
        await _measure(questions, _server_asker(client), url)


async def _measure(questions: Sequence[Question], ask: Ask, name: str) -> None:
    for arms in ARMS:
        started = time.perf_counter()
        qualities = await ask_all(questions, ask, arms)
        taken = (time.perf_counter() - started) / max(len(questions), 1)
        print(f"\n{table(f'{arms} ({name})'[:30], questions, qualities)}")
        print(f"  {taken * 1e3:.2f} ms a question")
    print()


async def _lines(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            yield line


def _engine_asker(engine: MemoryEngine) -> Ask:
    async def ask(question: Question, arms: str) -> list[Coordinate]:
        query = RecallQuery(text=question.query, top_k=max(DEPTHS), arms=ARMS[arms])
        answers = await engine.recall(question.namespace, query)
        return [answer.memory.coordinate for answer in answers]

    return ask


class _Found(msgspec.Struct):
    coord: str


class _Results(msgspec.Struct):
    results: list[_Found]


def _server_asker(client: httpx.AsyncClient) -> Ask:
    async def ask(question: Question, arms: str) -> list[Coordinate]:
        body = {
            "namespace": question.namespace,
            "query": question.query,
            "top_k": max(DEPTHS),
            "mode": arms,
        }
        response = await client.post("/recall_with_scores", json=body)
        response.raise_for_status()
        answer = msgspec.json.decode(response.content, type=_Results)
        return [Coordinate.parse(found.coord) for found in answer.results]

    return ask


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the measurement that the command line asks for."""
    parser = argparse.ArgumentParser(prog="benchmarks.recall", description=__doc__)
    parser.add_argument("--memories", type=Path, required=True, help="file to import")
    parser.add_argument("--questions", type=Path, required=True, help="file of questions")
    parser.add_argument("--url", help="ask a running server instead of an engine in this process")
    parser.add_argument("--embedder", action="append", help="URL of an embedder; may be repeated")
    parser.add_argument("--store", default="memory:", help="URL of the stores of the engine")
    options = parser.parse_args(arguments)
    questions = read_questions(options.questions)
    if options.url:
        asyncio.run(measure_server(options.memories.read_bytes(), questions, url=options.url))
        return
    for embedder in options.embedder or ["static:"]:
        asyncio.run(
            measure_engine(options.memories, questions, embedder=embedder, store=options.store)
        )


if __name__ == "__main__":
    main()
