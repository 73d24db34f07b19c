"""Answers about memories as a whole."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ImportMode(StrEnum):
    """What becomes of an import when one of its lines is not acceptable."""

    LINES = "lines"
    """The others are stored."""
    ATOMIC = "atomic"
    """None is."""
    CHECK = "check"
    """None is stored in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineErrorAnswer:
    """A line of an import that was left out, its number from 1."""

    line: int
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportAnswer:
    """What an import did.

    Attributes:
        imported: Memories that are there now.
        links: Links that are there now.
        failed: Lines that were left out.
        errors: The first of them, with the reason.
        expired: Memories that were not stored, since their time is over.
        passed_over: Links that were not, since one of their ends has expired or was
            deleted, or another memory lives there now.
    """

    imported: int
    links: int
    failed: int
    errors: list[LineErrorAnswer]
    expired: int = 0
    passed_over: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportAnswer:
    """Memories that were written to a file of the export folder, and its path there."""

    exported: int
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RebuildAnswer:
    """Memories that were indexed anew."""

    rebuilt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckAnswer:
    """How the derived stores compare with the truth.

    Attributes:
        consistent: Whether no difference was found.
        memories: Live memories in the truth.
        links: Live links in the truth.
        missing: Memories without a point.
        stale: Points of another version than their memory's.
        orphans: Points without a memory.
        links_missing: Links without an edge.
        links_orphaned: Edges without a link.
        counters_wrong: Counters that do not say what the truth holds.
        repaired: Whether the differences were put right.
    """

    consistent: bool
    memories: int
    links: int
    missing: int
    stale: int
    orphans: int
    links_missing: int
    links_orphaned: int
    counters_wrong: int
    repaired: bool
