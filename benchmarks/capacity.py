"""Reckon what a number of memories takes, from what `benchmarks.sizes` has measured.

    python -m benchmarks.capacity [--sizes benchmarks/sizes.json]

Prints the tables of docs/explanation/scale.md. How memories are used, what is kept how often, what
machines there are and what they cost are assumptions, which stand at the beginning of this module.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

SIZES = Path(__file__).with_name("sizes.json")
COUNTS = (10**6, 10**7, 10**8, 10**9)
GB = 10**9
DAY_SECONDS = 86_400

Parts: TypeAlias = Mapping[str, float]
Measured: TypeAlias = Mapping[str, Parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How memories are used.

    Attributes:
        versions: Replaced versions that are kept of each memory.
        links: Links for each memory.
        log_share: Part of all events that the log and the topic still hold.
        dimension: Numbers of a vector.
        measured_dimension: Numbers of a vector when sizes were measured.
    """

    versions: float = 0.5
    links: float = 1.0
    # Memories come evenly over a year, and events stay for a week.
    log_share: float = 7 / 365
    dimension: int = 256
    measured_dimension: int = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """How often each part is kept on several machines."""

    truth: int = 2
    vectors: int = 2
    topic: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What machines cost, in dollars a month; processors are not among it."""

    disk_gb: float = 0.10
    memory_gb: float = 3.50


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The largest machine that one store is given."""

    memory_gb: float = 256
    disk_gb: float = 16_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Each:
    """Bytes that one memory takes with all that hangs from it, kept once.

    Attributes:
        truth: Entries, history, links, and the log.
        graph: Edges.
        vectors: Points on disk.
        topic: Events at the broker.
        memory: What searching keeps in main memory, files that were read included.
        memory_least: What of it has to be there; the rest may be read from disk again.
        memory_quantized: What it is where the vectors in it take a byte for each number.
    """

    truth: float
    graph: float
    vectors: float
    topic: float
    memory: float
    memory_least: float
    memory_quantized: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """What all memories of a mode take, with all copies.

    Attributes:
        disk_gb: On disks.
        memory_gb: In main memory, for searches that read no disk.
        memory_least_gb: In main memory, at least.
        memory_quantized_gb: In main memory, with quantized vectors.
    """

    disk_gb: float
    memory_gb: float
    memory_least_gb: float
    memory_quantized_gb: float


ONE_MACHINE = Copies(truth=1, vectors=1, topic=1)
CLUSTER = Copies()
COPIES = {"embedded": ONE_MACHINE, "development": CLUSTER, "evented_enterprise": CLUSTER}
TRUTH_IN_MEMORY = frozenset({"development"})
PRICES = Prices()
MACHINE = Machine()
USE = Use()


def each(measured: Measured, use: Use = USE) -> Each:
    """Return what one memory takes.

    Args:
        measured: Bytes by part, of a memory, of a kept version, and of a link.
        use: How memories are used.
    """
    memory, version, link = (measured[thing] for thing in ("memory", "version", "link"))

    def total(part: str) -> float:
        found = (one.get(part, 0.0) for one in (memory, version, link))
        return sum(a * b for a, b in zip(found, (1, use.versions, use.links), strict=True))

    longer = 4 * (use.dimension - use.measured_dimension)
    return Each(
        truth=total("truth") + total("log") * use.log_share,
        graph=total("graph"),
        vectors=total("vectors") + longer,
        topic=total("topic") * use.log_share,
        memory=memory["resident"] + longer,
        memory_least=memory["anonymous"],
        memory_quantized=memory["resident"] + longer - 3 * use.dimension,
    )


def need(mode: str, one: Each, count: int, copies: Copies) -> Need:
    """Return what a number of memories takes.

    A truth in memory lies on the disk as well, in about as many bytes.
    """
    truth = (one.truth + one.graph) * copies.truth
    disk = truth + one.vectors * copies.vectors + one.topic * copies.topic
    held = truth if mode in TRUTH_IN_MEMORY else 0.0
    return Need(
        disk_gb=disk * count / GB,
        memory_gb=(held + one.memory * copies.vectors) * count / GB,
        memory_least_gb=(held + one.memory_least * copies.vectors) * count / GB,
        memory_quantized_gb=(held + one.memory_quantized * copies.vectors) * count / GB,
    )


def cost_per_million(wanted: Need, count: int, prices: Prices = PRICES) -> float:
    """Return the dollars a month for each million of memories, with all in main memory."""
    dollars = wanted.disk_gb * prices.disk_gb + wanted.memory_gb * prices.memory_gb
    return dollars / (count / 1e6)


def days_to_make_anew(count: int, seconds: float) -> float:
    """Return how long one processor embeds and indexes all memories, at `seconds` for each."""
    return count * seconds / DAY_SECONDS


def limits(mode: str, one: Each, machine: Machine = MACHINE) -> dict[str, float]:
    """Return how many memories fit where only one machine can have them, the fewest first."""
    memory, disk = machine.memory_gb * GB, machine.disk_gb * GB
    if mode == "embedded":
        found = {
            "memory of the one machine, per worker": memory / one.memory,
            "disk of the one machine": disk / (one.truth + one.graph + one.vectors),
        }
    elif mode in TRUTH_IN_MEMORY:
        found = {"memory of the one Redis node that has the truth": memory / one.truth}
    else:
        found = {"disk of the one PostgreSQL that takes writes": disk / (one.truth + one.graph)}
    return dict(sorted(found.items(), key=lambda limit: limit[1]))


def measured_table(sizes: Mapping[str, Measured]) -> Iterator[str]:
    """Write what was measured, in bytes, as rows of a table."""
    parts = ("truth", "graph", "log", "vectors", "topic")
    yield "| mode | a | " + " | ".join(parts) + " | memory | of it, at least |"
    yield "|---|---|" + "--:|" * (len(parts) + 2)
    for mode, measured in sizes.items():
        for thing in ("memory", "version", "link"):
            found = measured[thing]
            names = (*parts, "resident", "anonymous")
            cells = " | ".join(f"{found[name]:,.0f}" if name in found else "" for name in names)
            yield f"| `{mode}` | {thing} | {cells} |"


def need_table(sizes: Mapping[str, Measured]) -> Iterator[str]:
    """Write what memories take, as rows of a table."""
    yield (
        "| mode | memories | disk | memory | quantized | at least | dollars a month per million "
        "| made anew by one processor |"
    )
    yield "|---|--:|--:|--:|--:|--:|--:|--:|"
    for mode, measured in sizes.items():
        one, seconds = each(measured), measured["memory"]["processor"]
        for count in COUNTS:
            wanted = need(mode, one, count, COPIES[mode])
            cost = cost_per_million(wanted, count)
            days = days_to_make_anew(count, seconds)
            quantized = "" if mode == "embedded" else _gigabytes(wanted.memory_quantized_gb)
            yield (
                f"| `{mode}` | 10^{len(str(count)) - 1} | {_gigabytes(wanted.disk_gb)} "
                f"| {_gigabytes(wanted.memory_gb)} | {quantized} "
                f"| {_gigabytes(wanted.memory_least_gb)} | {cost:,.0f} | {_duration(days)} |"
            )


def limit_table(sizes: Mapping[str, Measured]) -> Iterator[str]:
    """Write what is reached first, as rows of a table."""
    yield "| mode | what only one machine can have | memories |"
    yield "|---|---|--:|"
    for mode, measured in sizes.items():
        for name, count in limits(mode, each(measured)).items():
            yield f"| `{mode}` | {name} | {count / 1e6:,.0f} million |"


def tables(sizes: Mapping[str, Measured]) -> Iterator[Sequence[str]]:
    """Write every table."""
    yield list(measured_table(sizes))
    yield list(need_table(sizes))
    yield list(limit_table(sizes))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.capacity", description=__doc__)
    parser.add_argument("--sizes", type=Path, default=SIZES, help="what was measured")
    path: Path = parser.parse_args(arguments).sizes
    sizes: dict[str, Measured] = json.loads(path.read_text(encoding="utf-8"))
    print("\n\n".join("\n".join(table) for table in tables(sizes)))


def _gigabytes(amount: float) -> str:
    return f"{amount:,.1f} GB" if amount < 1000 else f"{amount / 1000:,.1f} TB"  # noqa: PLR2004 - a thousand


def _duration(days: float) -> str:
    return f"{days * 24:,.1f} h" if days < 2 else f"{days:,.0f} days"  # noqa: PLR2004 - a day or two


if __name__ == "__main__":
    main()
