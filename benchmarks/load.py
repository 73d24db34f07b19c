"""Load a real server for minutes from a process of its own, then count what it has kept.

    python -m benchmarks.load [--mode embedded] [--workers 2] [--seconds 300] [--connections 64]
                              [--stores-of-five 1] [--interrupt SERVICE]

Of five requests four recall and one stores, unless said otherwise. At the end the truth is
compared with what the clients saw acknowledged: nothing may be lost and nothing doubled. With
`--interrupt`, that service is stopped for 20 seconds in the middle.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.request import urlopen

import psutil

from benchmarks.corpus import Corpus
from benchmarks.measuring import Results
from benchmarks.over_http import Connection, post
from benchmarks.services import Service, interruptible
from sfm_core.testing.loopback import free_port

SEEDED = 5000
BULK = 500
AWAY_SECONDS = 20.0
PATIENCE_SECONDS = 90.0
WARMING_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How much load.

    Attributes:
        connections: Clients at once.
        seconds: For how long.
        stores_of_five: How many of five requests store; the others recall.
        interrupted: A service that is stopped for a while, if any is.
    """

    connections: int
    seconds: float
    stores_of_five: int
    interrupted: Service | None


@dataclass(slots=True)
class Seen:
    """What the clients saw.

    Attributes:
        seconds: How long each kind of answer took.
        failures: How often each kind of request failed, by what was answered.
        stored: Coordinates whose storing was acknowledged.
        doubtful: Coordinates whose storing failed; they may be there or not.
        gaps: Longest time between two good answers, by kind, and when the last one came.
        back: When the service that was stopped had started again, if it has.
        served: The seconds of the clock in which a good answer came, by kind.
        recovered: How long after that the first good answer came, by kind.
        corpus: What clients make up their texts with.
    """

    seconds: dict[str, list[float]] = field(default_factory=lambda: {"recall": [], "store": []})
    failures: Counter[str] = field(default_factory=Counter[str])
    stored: set[str] = field(default_factory=set[str])
    doubtful: set[str] = field(default_factory=set[str])
    gaps: dict[str, float] = field(default_factory=dict[str, float])
    last: dict[str, float] = field(default_factory=dict[str, float])
    back: float | None = None
    served: dict[str, set[int]] = field(default_factory=lambda: {"recall": set(), "store": set()})
    recovered: dict[str, float] = field(default_factory=dict[str, float])
    corpus: Corpus = field(default_factory=Corpus)

    def succeeded(self, kind: str, took: float) -> None:
        """Note a good answer."""
        now = time.perf_counter()
        self.seconds[kind].append(took)
        self.gaps[kind] = max(self.gaps.get(kind, 0.0), now - self.last.get(kind, now))
        self.last[kind] = now
        self.served[kind].add(int(now))
        if self.back is not None:
            self.recovered.setdefault(kind, now - self.back)


class Client:
    """One connection that asks without a pause."""

    def __init__(self, number: int, port: int, seen: Seen, stores_of_five: int) -> None:
        """Ask the server at `port`, and note what comes in `seen`."""
        self._number = number
        self._stores_of_five = stores_of_five
        self._port = port
        self._seen = seen
        self._corpus = seen.corpus
        self._chances = random.Random(number)
        self._count = 0

    async def run(self, end: float) -> None:
        """Ask until the end."""
        connection: Connection | None = None
        while time.perf_counter() < end:
            try:
                if connection is None:
                    connection = Connection(self._port)
                    await connection.open()
                await self._ask(connection)
            except (OSError, asyncio.IncompleteReadError) as error:
                self._seen.failures[type(error).__name__] += 1
                connection = None
                await asyncio.sleep(0.05)
        if connection is not None:
            connection.close()

    async def _ask(self, connection: Connection) -> None:
        kind, request, where = self._next()
        begin = time.perf_counter()
        try:
            await connection.send(request)
        except RuntimeError as refusal:
            said = json.loads(str(refusal))
            self._seen.failures[f"{kind} {said['status']}"] += 1
            self._seen.doubtful |= {where} - {""}
            await asyncio.sleep(0.05)
        except BaseException:
            self._seen.doubtful |= {where} - {""}
            raise
        else:
            self._seen.succeeded(kind, time.perf_counter() - begin)
            self._seen.stored |= {where} - {""}

    def _next(self) -> tuple[str, bytes, str]:
        if self._chances.randrange(5) >= self._stores_of_five:
            body = {"query": self._corpus.text(6), "top_k": 10}
            return "recall", post("/recall", body), ""
        self._count += 1
        where = f"{self._number},{self._count}"
        return "store", post("/store", {"coord": where, "payload": self._payload()}), where

    def _payload(self) -> dict[str, str]:
        return {"text": self._corpus.text()}


async def load(results: Results, port: int, process: psutil.Process, plan: Plan) -> Seen:
    """Load a server.

    Args:
        results: Where the figures go.
        port: Where it listens.
        process: The server.
        plan: How much.

    Returns:
        What was seen.
    """
    # Each worker has loaded its model and its index when the first figure is taken.
    await _ask_all(port, Seen(), replace(plan, seconds=WARMING_SECONDS, stores_of_five=0))
    before = _memory(process)
    seen = Seen()
    async with asyncio.TaskGroup() as group:
        group.create_task(_ask_all(port, seen, plan))
        if plan.interrupted is not None:
            await asyncio.sleep(plan.seconds / 2)
            plan.interrupted.kill()
            await asyncio.sleep(AWAY_SECONDS)
            began = time.perf_counter()
            await asyncio.to_thread(plan.interrupted.start)
            seen.back = time.perf_counter()
            results.tell("start of the service that was stopped", seen.back - began, "s")
    for kind, taken in seen.seconds.items():
        if taken:
            _tell(results, kind, sorted(taken), plan.seconds)
            _tell_availability(results, seen, kind, plan.seconds)
    for reason, count in sorted(seen.failures.items()):
        results.tell(f"failed: {reason}", count, "")
    _tell_memory(results, process, before, len(seen.stored))
    return seen


async def _ask_all(port: int, seen: Seen, plan: Plan) -> None:
    end = time.perf_counter() + plan.seconds
    async with asyncio.TaskGroup() as group:
        for number in range(1, plan.connections + 1):
            client = Client(number, port, seen, plan.stores_of_five)
            group.create_task(client.run(end))


def _tell(results: Results, kind: str, taken: Sequence[float], seconds: float) -> None:
    results.tell(kind, len(taken) / seconds, "/s")
    for name, share in (("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)):
        results.tell(f"{kind}: {name}", taken[int(share * (len(taken) - 1))] * 1e3, "ms")


def _tell_availability(results: Results, seen: Seen, kind: str, seconds: float) -> None:
    served = min(100 * len(seen.served[kind]) / seconds, 100)
    results.tell(f"{kind}: seconds in which a good answer came", served, "%")
    results.tell(f"{kind}: longest time without a good answer", seen.gaps.get(kind, 0.0), "s")
    if kind in seen.recovered:
        results.tell(f"{kind}: first good answer after that start", seen.recovered[kind], "s")


def _tell_memory(
    results: Results, process: psutil.Process, before: Mapping[int, float], stored: int
) -> None:
    after = _memory(process)
    results.tell("memory of all processes at the start", sum(before.values()), "MiB")
    results.tell("  and at the end", sum(after.values()), "MiB")
    workers = [one.pid for one in _workers(process) if one.pid in before]
    for number, worker in enumerate(workers, 1):
        results.tell(f"memory of worker {number} at the start", before[worker], "MiB")
        results.tell(f"memory of worker {number} at the end", after[worker], "MiB")
    if stored and workers:
        # A worker that no connection came to follows nothing, and does not grow.
        grown = max(after[worker] - before[worker] for worker in workers)
        results.tell("growth of a worker per stored memory, at most", grown * 1024 / stored, "KiB")


def _workers(process: psutil.Process) -> list[psutil.Process]:
    spawned = [one for one in process.children() if "spawn_main" in " ".join(one.cmdline())]
    return spawned or [process]


def _memory(process: psutil.Process) -> dict[int, float]:
    return {
        one.pid: one.memory_info().rss / float(1 << 20)
        for one in (process, *process.children(recursive=True))
    }


def compare(results: Results, port: int, seen: Seen) -> None:
    """Compare the truth with what was acknowledged.

    Args:
        results: Where the figures go.
        port: Where the server listens.
        seen: What the clients saw.
    """
    with urlopen(f"http://127.0.0.1:{port}/export_memories", timeout=PATIENCE_SECONDS) as answer:
        lines = [json.loads(line) for line in answer]
    versions = {
        ",".join(map(str, line["coord"])): line["version"]
        for line in lines
        if line["kind"] == "memory" and line["coord"][0] > 0
    }
    results.tell("acknowledged", len(seen.stored), "")
    results.tell("lost", len(seen.stored - versions.keys()), "")
    results.tell("doubled", sum(versions[w] > 1 for w in seen.stored & versions.keys()), "")
    results.tell("there unasked", len(versions.keys() - seen.stored - seen.doubtful), "")


@contextmanager
def serving(folder: Path, variables: Mapping[str, str]) -> Generator[tuple[psutil.Process, int]]:
    """Run a server.

    Args:
        folder: Its data folder.
        variables: Its settings.

    Yields:
        Its process and port, once it is ready.
    """
    port = free_port()
    command = [sys.executable, "-m", "sfm_server", "serve", "--port", str(port)]
    with subprocess.Popen(  # noqa: S603 - the command is the line above
        [*command, "--data", str(folder)],
        cwd=folder,
        env={"SOMA_RATE_LIMIT_MAX": "0", "SFM_LOG_LEVEL": "warning", **variables},
        stderr=(folder / "server.log").open("wb"),
    ) as process:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/readyz") as answer:
                if answer.status == 200:  # noqa: PLR2004 - ready
                    break
        yield psutil.Process(process.pid), port
        process.terminate()


async def seed(port: int) -> None:
    """Store something to recall."""
    connection, corpus = Connection(port), Corpus(2)
    await connection.open()
    for start in range(0, SEEDED, BULK):
        items = [
            {"coord": f"0,{number}", "payload": {"text": corpus.text()}}
            for number in range(start, start + BULK)
        ]
        await connection.send(post("/store_bulk", {"items": items}))
    connection.close()


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.load", description=__doc__)
    parser.add_argument("--mode", choices=("embedded", "evented_enterprise"), default="embedded")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--stores-of-five", type=int, default=1, help="requests; the others recall")
    parser.add_argument("--interrupt", choices=("redis", "postgres", "kafka"), help="in the middle")
    parser.add_argument("--json", type=Path, help="file for the figures")
    options = parser.parse_args(arguments)
    results = Results()
    with tempfile.TemporaryDirectory(prefix="sfm-load-") as name, ExitStack() as stack:
        folder = Path(name)
        folder.chmod(0o755)
        data = folder / "data"
        data.mkdir()
        variables: dict[str, str] = {}
        services: dict[str, Service] = {}
        if options.mode != "embedded":
            variables, services = stack.enter_context(interruptible(folder))
            # Where several workers can have them.
            variables["SFM_VECTOR_URL"] = "postgresql:"
        variables |= {"MEMORY_MODE": options.mode, "UVICORN_WORKERS": str(options.workers)}
        process, port = stack.enter_context(serving(data, variables))
        asyncio.run(seed(port))
        results.title(f"{options.mode}, {options.workers} workers, load {os.getloadavg()[0]:.1f}")
        plan = Plan(
            connections=options.connections,
            seconds=options.seconds,
            stores_of_five=options.stores_of_five,
            interrupted=services.get(options.interrupt or ""),
        )
        seen = asyncio.run(load(results, port, process, plan))
        compare(results, port, seen)
        log = (data / "server.log").read_text(encoding="utf-8")
        results.tell("tracebacks in the log", log.count("Traceback"), "")
    if options.json:
        options.json.write_text(json.dumps(results.figures, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
