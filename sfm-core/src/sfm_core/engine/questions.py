"""Queries on their way to an answer, and which of what was found matches their filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from sfm_core.engine.apart import MAX_BYTES_INLINE, inline_or_apart
from sfm_core.engine.ranking import Score
from sfm_core.engine.truth import Truth
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import matches
from sfm_core.model.query import RecallQuery
from sfm_core.model.record import MemoryRecord
from sfm_core.protocols.vector import Hit


class Candidate(NamedTuple):
    """A memory that lives and answers.

    Attributes:
        score: How well it answers.
        coordinate: Where it lives.
        version: Its version, now or at the time that is asked about.
        record: What the truth holds of that version.
    """

    score: Score
    coordinate: Coordinate
    version: int
    record: MemoryRecord


@dataclass(slots=True)
class Question:
    """One query on its way to an answer.

    Attributes:
        namespace: Where to look.
        query: What to look for.
        limit: How many hits each arm is asked for.
        fused: What was found, in the order of relevance.
        exhausted: Whether searching for more would find no more.
        best: What answers, best first.
    """

    namespace: str
    query: RecallQuery
    limit: int
    fused: list[tuple[float, Hit]] = field(default_factory=list[tuple[float, Hit]])
    exhausted: bool = False
    best: list[Candidate] = field(default_factory=list[Candidate])


class Living(NamedTuple):
    """A memory that lives, and was found.

    Attributes:
        relevance: How well it answers by what the index says.
        hit: What the index says.
        version: Its version.
        record: What the truth holds of that version.
    """

    relevance: float
    hit: Hit
    version: int
    record: MemoryRecord


async def unfitting(
    truth: Truth, questions: Sequence[Question], living: Mapping[int, Sequence[Living]]
) -> set[tuple[int, int]]:
    """Find what does not match filters. Each payload is decoded once, in a thread if that is much.

    Args:
        truth: Decodes payloads.
        questions: All questions.
        living: What was found for some of them, by their place.

    Returns:
        Places of questions, each with the `id` of a record that its filter refuses.

    Raises:
        CorruptDataError: A payload is no JSON object.
    """
    asked: dict[int, tuple[Living, list[int]]] = {}
    for at, found in living.items():
        if questions[at].query.filter is not None:
            for one in found:
                asked.setdefault(id(one.record), (one, []))[1].append(at)

    def refused() -> set[tuple[int, int]]:
        unfit: set[tuple[int, int]] = set()
        for one, places in asked.values():
            namespace = questions[places[0]].namespace
            payload = truth.payload(namespace, one.hit.coordinate, one.record)
            for at in places:
                wanted = questions[at].query.filter
                if wanted is not None and not matches(wanted, payload):
                    unfit.add((at, id(one.record)))
        return unfit

    size = sum(len(one.record.payload) for one, _ in asked.values())
    return await inline_or_apart(refused, cost=size, limit=MAX_BYTES_INLINE)
