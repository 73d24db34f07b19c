"""Answers to questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal

from msgspec import UnsetType
from pydantic import GetPydanticSchema

from sfm_server.schemas.values import Incomplete, Json, LeftOut, Stale, TypeName, unasked


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
class WhyNotAnswer:
    """What became of one memory on the way to an answer.

    Attributes:
        coord: Where it lives.
        reason: What keeps it from being recalled; "returned" where nothing does.
        detail: The same in words.
        version: Its version; null where there is none.
        indexed_version: The version that the index has; null where it has none,
            or was not asked.
        place: Its place in the order, the first being 1; null where it was not ranked.
        score: Its score; null where it was not ranked.
        parts: What the score is made of; null where it was not ranked.
        condition: The part of the filter that it does not meet, or null.
    """

    coord: str
    reason: Literal[
        "returned",
        "absent",
        "deleted",
        "expired",
        "history-gone",
        "type",
        "filter",
        "not-indexed",
        "unmatched",
        "candidates",
        "top-k",
    ]
    detail: str
    version: int | None = None
    indexed_version: int | None = None
    place: int | None = None
    score: float | None = None
    parts: Mapping[str, float] | None = None
    condition: Json | None = None


AskedWhyNot = Annotated[
    WhyNotAnswer | UnsetType,
    GetPydanticSchema(lambda _source, schema_of: schema_of(WhyNotAnswer)),
]
Explained = Annotated[
    list[ScoredMemory] | UnsetType,
    GetPydanticSchema(lambda _source, schema_of: schema_of(list[ScoredMemory])),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchesAnswer:
    """Payloads of the memories that answer a query, the best first.

    Attributes:
        matches: The payloads.
        stale: Whether writes that `min_position` names may be missing still; left out
            where it is not given.
        left_out: The searches that were late or have failed, with the reason of each;
            empty where none was. Left out where `deadline_ms` is not given.
        incomplete: True while the index that was searched is being built or compared with
            the truth, so that memories may be missing; left out otherwise.
        explained: The memories in the same order, with their scores and the parts of
            these; left out unless asked for with `explain`.
        why_not: What became of the memory that `why_not` names; left out where it is not given.
    """

    matches: list[Json]
    stale: Stale = field(default_factory=unasked)
    left_out: LeftOut = field(default_factory=unasked)
    incomplete: Incomplete = field(default_factory=unasked)
    explained: Explained = field(default_factory=unasked)
    why_not: AskedWhyNot = field(default_factory=unasked)


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchesAnswer:
    """One list of payloads per query, in the order of the queries.

    Attributes:
        batches: The lists.
        stale: Whether writes that `min_position` names may be missing still; left out
            where it is not given.
        left_out: The searches that were late or have failed for some query, with the
            reason; empty where none was. Left out where `deadline_ms` is not given.
        incomplete: True while the index that was searched is being built or compared with
            the truth, so that memories may be missing; left out otherwise.
    """

    batches: list[list[Json]]
    stale: Stale = field(default_factory=unasked)
    left_out: LeftOut = field(default_factory=unasked)
    incomplete: Incomplete = field(default_factory=unasked)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsAnswer:
    """Memories that answer a query, the best first.

    Attributes:
        results: The memories.
        stale: Whether writes that `min_position` names may be missing still; left out
            where it is not given.
        left_out: The searches that were late or have failed, with the reason of each;
            empty where none was. Left out where `deadline_ms` is not given.
        incomplete: True while the index that was searched is being built or compared with
            the truth, so that memories may be missing; left out otherwise.
        why_not: What became of the memory that `why_not` names; left out where it is not given.
    """

    results: list[ScoredMemory]
    stale: Stale = field(default_factory=unasked)
    left_out: LeftOut = field(default_factory=unasked)
    incomplete: Incomplete = field(default_factory=unasked)
    why_not: AskedWhyNot = field(default_factory=unasked)
