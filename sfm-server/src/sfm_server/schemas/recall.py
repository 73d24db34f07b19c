"""Answers to questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sfm_server.schemas.values import Json, Stale, TypeName, unasked


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchesAnswer:
    """Payloads of the memories that answer a query, the best first.

    Attributes:
        matches: The payloads.
        stale: Whether writes that `min_position` names may be missing still; left out
            where it is not given.
    """

    matches: list[Json]
    stale: Stale = field(default_factory=unasked)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesAnswer:
    """One list of payloads per query, in the order of the queries.

    Attributes:
        batches: The lists.
        stale: Whether writes that `min_position` names may be missing still; left out
            where it is not given.
    """

    batches: list[list[Json]]
    stale: Stale = field(default_factory=unasked)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredMemory:
    """A memory that answers a query.

    Attributes:
        payload: What was stored.
        score: 0 to 1, higher is better.
        coord: Where it lives.
        type: Kind of memory.
        version: The version that was recalled.
        created_at: When it was first stored.
        parts: What the score is made of; null unless asked for with `explain`.
    """

    payload: Json
    score: float
    coord: str
    type: TypeName
    version: int
    created_at: datetime
    parts: Mapping[str, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsAnswer:
    """Memories that answer a query, the best first.

    Attributes:
        results: The memories.
        stale: Whether writes that `min_position` names may be missing still; left out
            where it is not given.
    """

    results: list[ScoredMemory]
    stale: Stale = field(default_factory=unasked)
