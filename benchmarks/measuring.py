"""Taking times, and telling them."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

import psutil

LONGEST_QUIET_SECONDS = 600
STILL_SECONDS = 3
IDLE_SHARE = 0.05

Call: TypeAlias = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long one kind of call took.

    Attributes:
        p50: Half of the calls were faster, in milliseconds.
        p95: 95 of 100 were faster.
        p99: 99 of 100 were faster.
        cpu: Processor time of this process per call, of all its threads, in milliseconds.
        rate: Calls per second.
    """

    p50: float
    p95: float
    p99: float
    cpu: float
    rate: float


@dataclass(slots=True)
class Results:
    """Figures of one run, by name, printed as they come."""

    figures: dict[str, float] = field(default_factory=dict[str, float])

    def title(self, text: str) -> None:
        """Print a heading."""
        print(f"\n{text}", flush=True)

    def tell(self, name: str, value: float, unit: str, *, raw: float | None = None) -> None:
        """Keep and print a figure, and how it compares with its raw cost."""
        self.figures[name] = value
        beside = "" if not raw else f"   bare {raw:>12,.2f}   ratio {value / raw:6.2f}"
        if raw:
            self.figures[f"{name}, bare"] = raw
        print(f"  {name:<44}{value:>12,.2f} {unit:<5}{beside}", flush=True)

    def tell_times(self, name: str, times: Times) -> None:
        """Keep and print how long calls took."""
        self.figures.update({f"{name} {key}": value for key, value in asdict(times).items()})
        print(
            f"  {name:<44}{times.p50:>8.2f} {times.p95:>8.2f} {times.p99:>8.2f} ms"
            f"   cpu {times.cpu:>7.2f} ms {times.rate:>10,.0f} /s",
            flush=True,
        )


@dataclass(slots=True)
class Stopwatch:
    """Takes the times of calls of one kind, however many of them come at once."""

    _seconds: list[float] = field(default_factory=list[float])
    _elapsed: float = 0.0
    _cpu: float = 0.0

    async def take(self, calls: Sequence[Call], settle: Call | None = None) -> None:
        """Make calls one after the other.

        Args:
            calls: What to call.
            settle: Waits for what the calls left to be done. It takes processor
                time only: nobody who called waits for it.
        """
        cpu, begin = time.process_time(), time.perf_counter()
        for call in calls:
            start = time.perf_counter()
            await call()
            self._seconds.append(time.perf_counter() - start)
        self._elapsed += time.perf_counter() - begin
        if settle is not None:
            await settle()
        self._cpu += time.process_time() - cpu

    def times(self) -> Times:
        """Sum up the calls so far."""
        return summary(self._seconds, elapsed=self._elapsed, cpu=self._cpu)


def summary(taken: Sequence[float], *, elapsed: float, cpu: float) -> Times:
    """Sum up how long calls took.

    Args:
        taken: Seconds of each call.
        elapsed: Seconds from the first call to the end of the last.
        cpu: Seconds of processor time of all calls.

    Returns:
        The percentiles and rates.
    """
    ordered = sorted(taken)

    def percentile(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] * 1e3

    return Times(
        p50=percentile(0.50),
        p95=percentile(0.95),
        p99=percentile(0.99),
        cpu=cpu / len(ordered) * 1e3,
        rate=len(ordered) / elapsed,
    )


async def timed(calls: Sequence[Call]) -> Times:
    """Make calls one after the other, and return how long they took."""
    watch = Stopwatch()
    await watch.take(calls)
    return watch.times()


async def quiet() -> float:
    """Wait until this process and its children do nothing of their own accord.

    Returns:
        The seconds until then.
    """
    start = time.perf_counter()
    still = 0
    while still < STILL_SECONDS and time.perf_counter() - start < LONGEST_QUIET_SECONDS:
        spent = _processor_seconds()
        await asyncio.sleep(1)
        still = still + 1 if _processor_seconds() - spent < IDLE_SHARE else 0
    return time.perf_counter() - start - still


def _processor_seconds() -> float:
    own = psutil.Process()
    seconds = 0.0
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            spent = process.cpu_times()
            seconds += spent.user + spent.system
    return seconds


def peak_mebibytes() -> float:
    """Return the most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def disk_mebibytes(folder: Path) -> float:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1024**2
