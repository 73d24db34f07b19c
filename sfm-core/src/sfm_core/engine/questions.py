"""Queries on their way to an answer, and which of what was found matches their filters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import inf
from typing import Final, NamedTuple

from sfm_core.engine.apart import MAX_BYTES_INLINE, inline_or_apart
from sfm_core.engine.portions import Portion
from sfm_core.engine.ranking import Score
from sfm_core.engine.truth import Truth
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import matches
from sfm_core.model.query import RecallQuery
from sfm_core.model.record import MemoryRecord
from sfm_core.protocols.vector import Hit

SPARE: Final = 10
"""Memories hydrated beyond top_k, so that recency and importance can reorder the end."""
FIRST: Final = 64
"""Candidates that are read at first, before it is known how large they are."""


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
        max_bytes: How large the answer may be. Nothing more is read for one that is larger.
    """

    namespace: str
    query: RecallQuery
    limit: int
    fused: list[tuple[float, Hit]] = field(default_factory=list[tuple[float, Hit]])
    exhausted: bool = False
    best: list[Candidate] = field(default_factory=list[Candidate])
    max_bytes: float = inf
    _portion: Portion = field(default_factory=partial(Portion, first=FIRST))
    _read: int = 0

    def begin(self) -> None:
        """Read candidates from the first on."""
        self.best = []
        self._read = 0

    def page(self) -> list[tuple[float, Hit]]:
        """Return the candidates to read next: as many as may answer, fewer where they are large."""
        start = self._read
        self._read += min(self._left, self._portion.size)
        return self.fused[start : self._read]

    def take(self, candidates: Iterable[Candidate], sizes: Sequence[int]) -> None:
        """Take those of a page that live and fit, and keep what answers best so far.

        Args:
            candidates: Those.
            sizes: How many bytes each candidate of the page had.
        """
        top_k = self.query.top_k
        self._portion.took(sizes)
        self.best += candidates
        self.best.sort(key=lambda one: (-one.score.total, one.coordinate))
        del self.best[top_k:]
        self.exhausted = self.exhausted or len(self.best) >= top_k or self._is_too_large()

    def wants_more(self) -> bool:
        """Tell whether candidates are to be read that may belong to the answer."""
        if self._read >= len(self.fused) or self._is_too_large():
            return False
        return self._read % self._at_once > 0 or len(self.best) < self.query.top_k

    def _is_too_large(self) -> bool:
        """Tell whether the answer is, however many of those to be read yet displace others."""
        sizes = [len(one.record.payload) for one in self.best]
        if sum(sizes) <= self.max_bytes:
            return False
        left = self._left if self._read % self._at_once else 0
        displaced = max(0, len(sizes) + left - self.query.top_k)
        sure = sorted(sizes)[: len(sizes) - displaced]
        return len(sure) > 1 and sum(sure) > self.max_bytes

    @property
    def _at_once(self) -> int:
        return self.query.top_k + SPARE

    @property
    def _left(self) -> int:
        return self._at_once - self._read % self._at_once


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
