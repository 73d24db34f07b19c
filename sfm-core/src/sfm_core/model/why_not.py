"""Why a memory is not among the answers to a question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sfm_core.model.payload import JsonValue


class WhyNotReason(StrEnum):
    """What keeps a memory from being an answer.

    Attributes:
        RETURNED: Nothing: it is one.
        ABSENT: There is no memory at the coordinate.
        DELETED: It was deleted.
        EXPIRED: It has expired.
        HISTORY_GONE: What is kept does not tell what it was at the time that is asked about.
        TYPE: It is of another type than the query asks for.
        FILTER: Its payload does not match the filter.
        NOT_INDEXED: The index does not have it yet.
        UNMATCHED: No search finds it, however many hits it is asked for.
        CANDIDATES: A search finds it, but not among the candidates that are ranked.
        TOP_K: It was ranked, but behind those that were asked for.
    """

    RETURNED = "returned"
    ABSENT = "absent"
    DELETED = "deleted"
    EXPIRED = "expired"
    HISTORY_GONE = "history-gone"
    TYPE = "type"
    FILTER = "filter"
    NOT_INDEXED = "not-indexed"
    UNMATCHED = "unmatched"
    CANDIDATES = "candidates"
    TOP_K = "top-k"


@dataclass(frozen=True, slots=True, kw_only=True)
class WhyNot:
    """What became of one memory on the way to an answer.

    Attributes:
        reason: What keeps it from being one.
        detail: The same in words.
        version: Its version in the truth; `None` where there is none.
        indexed_version: The version that the index has; `None` where it has
            none, or was not asked.
        place: Its place in the order, the first being 1; `None` where it was not ranked.
        score: Its score, as in `Recalled`; `None` where it was not ranked.
        parts: What the score is made of, as in `Recalled`.
        condition: The part of the filter that it does not meet, in JSON form.
    """

    reason: WhyNotReason
    detail: str
    version: int | None = None
    indexed_version: int | None = None
    place: int | None = None
    score: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict[str, float])
    condition: Mapping[str, JsonValue] | None = None
