"""Taking times, and telling them."""

from __future__ import annotations

import resource
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


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


async def timed(calls: Sequence[Callable[[], Awaitable[object]]]) -> Times:
    """Make calls one after the other.

    Args:
        calls: What to call.

    Returns:
        How long they took.
    """
    taken: list[float] = []
    cpu, begin = time.process_time(), time.perf_counter()
    for call in calls:
        start = time.perf_counter()
        await call()
        taken.append(time.perf_counter() - start)
    elapsed = time.perf_counter() - begin
    return summary(taken, elapsed=elapsed, cpu=time.process_time() - cpu)


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


def peak_mebibytes() -> float:
    """Return the most memory that this process has held so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)


def disk_mebibytes(folder: Path) -> float:
    """Return the size of all files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1024**2
