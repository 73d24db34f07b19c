"""Questions to the memory and the answers to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sfm_core.model.filters import Filter
from sfm_core.model.memory import Memory, MemoryType

ARMS = frozenset({"dense", "keyword"})
"""The searches that a recall consists of."""
LATE = "late"
"""Why an arm was left out that had not come at the deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallQuery:
    """What to recall.

    Attributes:
        text: The question or cue, in plain language.
        top_k: How many memories at most.
        type: Only memories of this type.
        filter: Only memories whose payload matches.
        context: What is going on now; weighs less than `text`.
        arms: Which searches take part: "dense", "keyword" or both.
        as_of: Judge and return what is found as it was at this time. What is searched is
            what is there now.
    """

    text: str
    top_k: int = 5
    type: MemoryType | None = None
    filter: Filter | None = None
    context: str = ""
    arms: frozenset[str] = frozenset({"dense", "keyword"})
    as_of: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """One memory that answers a query.

    Attributes:
        memory: The memory as the truth held it when it was recalled, or at the time that
            the query names.
        score: 0 to 1, higher is better; comparable within one answer.
        parts: What the score is made of, each part by its name.
    """

    memory: Memory
    score: float
    parts: Mapping[str, float] = field(default_factory=dict[str, float])


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelyAnswer:
    """What could be recalled within a deadline.

    Attributes:
        found: The memories, best first.
        left_out: The arms that had no part in it, each with the reason: `LATE`,
            or the code of the error that it failed with. Empty where the answer
            is the one that there is without a deadline.
    """

    found: tuple[Recalled, ...]
    left_out: Mapping[str, str] = field(default_factory=dict[str, str])
