"""Recalling as a request asks for it: after certain writes, in time, with explanations."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from msgspec import UnsetType

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import InvalidInputError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.query import Recalled, RecallQuery
from sfm_core.model.why_not import WhyNot
from sfm_server.freshness import is_stale
from sfm_server.schemas.recall import AskedWhyNot, ScoredMemory, WhyNotAnswer
from sfm_server.schemas.values import Incomplete, LeftOut, unasked

_WAIT_SHARE = 0.5
"""Part of the deadline in which writes are waited for; the rest is for recalling."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What a request wants beside the answers to its queries.

    Attributes:
        min_position: The writes that are to be seen, or `None`.
        deadline_ms: How long it may take, or `None`.
        why_not: A memory to tell of why it is not recalled, or `None`.

    Raises:
        InvalidInputError: `why_not` comes with `deadline_ms`.
    """

    min_position: str | None = None
    deadline_ms: int | None = None
    why_not: Coordinate | None = None

    def __post_init__(self) -> None:
        if self.why_not is not None and self.deadline_ms is not None:
            raise InvalidInputError(
                "why_not comes with deadline_ms, and looking for the reason takes its time.",
                field="why_not",
                remedy="Leave one of the two out.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a request was answered with.

    Attributes:
        found: The memories for each query.
        stale: Whether writes that were to be seen may be missing; unset where none were named.
        incomplete: True where the index that was searched may lack memories; unset otherwise.
        left_out: Searches that were left out; unset without a deadline.
        why_not: What became of the memory that was asked about; unset without one.
    """

    found: Sequence[Sequence[Recalled]]
    stale: bool | UnsetType = field(default_factory=unasked)
    incomplete: Incomplete = field(default_factory=unasked)
    left_out: LeftOut = field(default_factory=unasked)
    why_not: AskedWhyNot = field(default_factory=unasked)


async def answer(
    engine: MemoryEngine, namespace: str, queries: Sequence[RecallQuery], wishes: Wishes
) -> Answered:
    """Answer queries as a request wishes.

    Args:
        engine: The engine.
        namespace: Where to look.
        queries: What to look for; one only where it is asked why a memory is not found.
        wishes: What else is wanted.

    Returns:
        The answers, in order.

    Raises:
        SfmError: What the engine refuses, or why it cannot answer.
    """
    # A build may end meanwhile, or an outdated look at it.
    before = engine.incomplete
    if wishes.deadline_ms is None:
        told = await _in_full(engine, namespace, queries, wishes)
    else:
        told = await _in_time(engine, namespace, queries, wishes, wishes.deadline_ms / 1000)
    return replace(told, incomplete=True) if before or engine.incomplete else told


def scored(recalled: Recalled, *, explain: bool) -> ScoredMemory:
    """Describe a memory that answers a query."""
    found = recalled.memory
    return ScoredMemory(
        payload=found.payload,
        score=recalled.score,
        coord=str(found.coordinate),
        type=found.type.value,
        version=found.version,
        created_at=found.created_at,
        parts=dict(recalled.parts) if explain else None,
    )


async def _in_full(
    engine: MemoryEngine, namespace: str, queries: Sequence[RecallQuery], wishes: Wishes
) -> Answered:
    stale = await is_stale(engine, wishes.min_position)
    found = await engine.recall_many(namespace, queries)
    why_not: AskedWhyNot = unasked()
    if wishes.why_not is not None:
        told = await engine.why_not(namespace, queries[0], wishes.why_not)
        why_not = _why_not(wishes.why_not, told)
    return Answered(found=found, stale=stale, why_not=why_not)


async def _in_time(
    engine: MemoryEngine,
    namespace: str,
    queries: Sequence[RecallQuery],
    wishes: Wishes,
    seconds: float,
) -> Answered:
    clock = asyncio.get_running_loop().time
    end = clock() + seconds
    stale: bool | UnsetType
    try:
        async with asyncio.timeout(seconds * _WAIT_SHARE):
            stale = await is_stale(engine, wishes.min_position)
    except TimeoutError:
        stale = True
    left = timedelta(seconds=max(end - clock(), 0.001))
    answers = await engine.recall_many_within(namespace, queries, left)
    return Answered(
        found=[one.found for one in answers],
        stale=stale,
        left_out={arm: why for one in answers for arm, why in one.left_out.items()},
    )


def _why_not(coordinate: Coordinate, told: WhyNot) -> WhyNotAnswer:
    return WhyNotAnswer(
        coord=str(coordinate),
        reason=told.reason.value,
        detail=told.detail,
        version=told.version,
        indexed_version=told.indexed_version,
        place=told.place,
        score=told.score,
        parts=dict(told.parts) if told.place is not None else None,
        condition=told.condition,
    )
