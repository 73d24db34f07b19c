"""Answers searches: both arms, with the scores of both for every hit, in one round trip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from qdrant_client import models

from sfm_backend_qdrant._asking import Arm, Ask, Found
from sfm_backend_qdrant._comparing import Enclosed
from sfm_backend_qdrant._encoding import COORDINATE, PAYLOAD, VERSION
from sfm_backend_qdrant._errors import RefusedError
from sfm_backend_qdrant._filters import enclose, scope
from sfm_backend_qdrant._parting import PART_SEARCHES
from sfm_backend_qdrant._qdrant import Qdrant
from sfm_backend_qdrant._scrolling import said_by
from sfm_backend_qdrant._statements import DENSE, WORDS
from sfm_backend_qdrant._terms import query_weights
from sfm_core.errors import CorruptDataError, InvalidFilterError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import matches
from sfm_core.protocols.vector import Hit, SearchResult, VectorQuery

# Candidates for a filter that is checked here: so many per wanted hit at first, and so many
# times more at each further round.
_FIRST: Final = 4
_MORE: Final = 8


@dataclass(slots=True)
class _Candidate:
    key: bytes
    version: int
    allowed: bool
    dense: float | None = None
    keyword: float | None = None


@dataclass(slots=True)
class Question:
    """One query on its way.

    Attributes:
        query: What is asked.
        within: Between what its filter lies; `None` where it has none.
        words: The weights of its terms.
        size: How many candidates per arm to fetch.
        hits: The answer, once there is one.
        found: The candidates by the ids of their points.
    """

    query: VectorQuery
    within: Enclosed | None
    words: dict[int, float]
    size: int
    hits: tuple[Hit, ...] | None = None
    found: dict[str, _Candidate] = field(default_factory=dict[str, _Candidate])

    @classmethod
    def of(cls, query: VectorQuery) -> Question:
        """Return the question that a query is; one that nothing can answer has its answer."""
        within = None if query.filter is None else enclose(query.filter)
        question = cls(query, within, query_weights(query.terms), query.limit)
        if not question.exact:
            question.size = query.limit * _FIRST
        if query.limit < 1 or (query.vector is None and not question.words):
            question.hits = ()
        return question

    @property
    def exact(self) -> bool:
        """Whether Qdrant can tell by itself what the filter matches."""
        return self.within is None or self.within.exact

    def ask(self) -> Ask:
        """Ask for the candidates of both arms, once by each arm's score."""
        return Ask(
            arms=tuple(self._arms()),
            condition=self._condition(),
            corpus=scope(self.query.namespace),
            fields=[COORDINATE, VERSION] if self.exact else [COORDINATE, VERSION, PAYLOAD],
            size=self.size,
        )

    def take(self, answers: Sequence[Sequence[Found]], scheme: str) -> None:
        """Read the answer to `ask`, and decide whether it is enough."""
        self.found.clear()
        for number, (arm, points) in enumerate(zip(self._arms(), answers, strict=True)):
            for point in points:
                if number == 0:
                    self._add(point, scheme)
                candidate = self.found.get(point.id)
                # Between the two rankings, somebody may have written a point.
                if candidate is None:
                    continue
                if arm.using == DENSE:
                    candidate.dense = point.score
                else:
                    candidate.keyword = point.score
        best: set[str] = set()
        enough = True
        for arm in self._arms():
            allowed, complete = self._best(arm.using)
            best.update(allowed)
            enough = enough and complete
        if enough:
            self.hits = tuple(self._hit(self.found[point]) for point in sorted(best))

    def _best(self, using: str) -> tuple[list[str], bool]:
        """Return the best of one arm, and whether there can be no better ones unseen."""
        scored = [
            (score, candidate.key, point)
            for point, candidate in self.found.items()
            if (score := candidate.dense if using == DENSE else candidate.keyword) is not None
            and (using == DENSE or score > 0.0)
        ]
        scored.sort(key=lambda each: (-each[0], each[1]))
        # The other arm's candidates come after these only as far as this arm has seen.
        seen = scored[: self.size]
        allowed = [point for _, _, point in seen if self.found[point].allowed][: self.query.limit]
        return allowed, len(allowed) == self.query.limit or self.exact or len(seen) < self.size

    def _add(self, point: Found, scheme: str) -> None:
        key, version = said_by(point.fields, point.id, scheme)
        self.found[point.id] = _Candidate(key, version, self._allows(point, scheme))

    def _allows(self, point: Found, scheme: str) -> bool:
        condition = self.query.filter
        if condition is None or self.exact:
            return True
        payload = point.fields.get(PAYLOAD)
        if not isinstance(payload, str):
            raise CorruptDataError(
                f"The point {point.id} has no payload.",
                backend=scheme,
                remedy="Remove it from the collection, or rebuild the collection.",
            )
        return matches(condition, msgspec.json.decode(payload))

    def _hit(self, candidate: _Candidate) -> Hit:
        return Hit(
            coordinate=Coordinate.from_key(candidate.key),
            version=candidate.version,
            dense=None if self.query.vector is None else candidate.dense,
            keyword=(candidate.keyword or 0.0) if self.words else self._silent,
        )

    @property
    def _silent(self) -> float | None:
        """The keyword score where no term counts: of an arm that was asked for, nothing."""
        return 0.0 if self.query.terms else None

    def _arms(self) -> Iterator[Arm]:
        if self.query.vector is not None:
            yield Arm(using=DENSE, vector=self.query.vector)
        if self.words:
            yield Arm(using=WORDS, words=self.words)

    def _condition(self) -> models.Filter:
        possible = None if self.within is None else self.within.possible
        return scope(self.query.namespace, type=self.query.type, possible=possible)


class Searching:
    """Answers the searches of one call."""

    def __init__(self, qdrant: Qdrant, name: str) -> None:
        """Keep where to search.

        Args:
            qdrant: Where the points are.
            name: Name of their collection there.
        """
        self._qdrant = qdrant
        self._name = name

    async def answers(self, queries: Sequence[VectorQuery]) -> list[SearchResult]:
        """Answer every query.

        Args:
            queries: At least one.

        Returns:
            One result per query, in order.

        Raises:
            InvalidFilterError: The server refuses the conditions of a filter,
                or more points would have to be looked at than the settings allow.
        """
        questions = [Question.of(query) for query in queries]
        while waiting := [each for each in questions if each.hits is None]:
            for first in range(0, len(waiting), PART_SEARCHES):
                await self._ask(waiting[first : first + PART_SEARCHES])
            for question in waiting:
                if question.hits is None:
                    self._widen(question)
        return [SearchResult(hits=question.hits or ()) for question in questions]

    async def _ask(self, questions: Sequence[Question]) -> None:
        try:
            answers = await self._qdrant.query(self._name, [each.ask() for each in questions])
        except RefusedError as error:
            if all(question.within is None for question in questions):
                raise
            raise InvalidFilterError(
                error.message, field="filter", remedy="Use a simpler filter."
            ) from error
        for question, answer in zip(questions, answers, strict=True):
            question.take(answer, self._qdrant.settings.scheme)

    def _widen(self, question: Question) -> None:
        limit = self._qdrant.settings.scan_limit
        if question.size >= limit:
            raise InvalidFilterError(
                f"The filter leaves too few of the first {question.size} points, and Qdrant "
                "cannot look for substrings, or for texts and numbers that differ only far back.",
                field="filter",
                remedy="Add a condition that leaves fewer points, or raise scan_limit in the URL.",
            )
        question.size = min(question.size * _MORE, limit)
