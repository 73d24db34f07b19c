"""Answers searches: both arms, with the scores of both for every hit, in one round trip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.conversions.common_types import QueryResponse

from sfm_backend_qdrant._comparing import Enclosed
from sfm_backend_qdrant._connection import Connection
from sfm_backend_qdrant._encoding import (
    COORDINATE,
    DENSE,
    PAYLOAD,
    VERSION,
    WORDS,
)
from sfm_backend_qdrant._errors import RefusedError
from sfm_backend_qdrant._filters import enclose, scope
from sfm_backend_qdrant._scrolling import unreadable
from sfm_backend_qdrant._terms import query_weights, sparse
from sfm_core.errors import InvalidFilterError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import matches
from sfm_core.protocols.vector import Hit, SearchResult, VectorQuery

# Candidates for a filter that is checked here: so many per wanted hit at first, and so many
# times more at each further round.
_FIRST: Final = 4
_MORE: Final = 8

# How widely a server searches the graph of neighbours; the in-process mode has none.
_WIDELY: Final = models.SearchParams(hnsw_ef=128)


@dataclass(slots=True)
class _Candidate:
    version: int
    allowed: bool
    dense: float | None = None
    keyword: float | None = None


@dataclass(slots=True)
class _Question:
    """One query on its way.

    Attributes:
        query: What is asked.
        within: Between what its filter lies; `None` where it has none.
        words: The weights of its terms.
        params: How each arm is searched.
        size: How many candidates per arm to fetch.
        hits: The answer, once there is one.
        found: The candidates by their coordinates.
    """

    query: VectorQuery
    within: Enclosed | None
    words: dict[int, float]
    params: dict[str, models.SearchParams]
    size: int
    hits: tuple[Hit, ...] | None = None
    found: dict[str, _Candidate] = field(default_factory=dict[str, _Candidate])

    @classmethod
    def of(cls, query: VectorQuery, params: dict[str, models.SearchParams]) -> _Question:
        within = None if query.filter is None else enclose(query.filter)
        question = cls(query, within, query_weights(query.terms), params, query.limit)
        if not question.exact:
            question.size = query.limit * _FIRST
        if query.limit < 1 or (query.vector is None and not question.words):
            question.hits = ()
        return question

    @property
    def exact(self) -> bool:
        return self.within is None or self.within.exact

    def requests(self) -> Iterator[models.QueryRequest]:
        """Ask for the candidates of both arms, once by each arm's score.

        What one arm has found is so scored by the other as well, by the server
        and from the same points.
        """
        arms = list(self._arms())
        condition = self._condition()
        fields = [COORDINATE, VERSION] if self.exact else [COORDINATE, VERSION, PAYLOAD]
        for query, using in arms:
            both = len(arms) > 1
            yield models.QueryRequest(
                prefetch=self._prefetch(arms, condition) if both else None,
                query=query,
                using=using,
                filter=None if both else condition,
                params=self.params.get(using),
                limit=len(arms) * self.size,
                with_payload=fields,
            )

    def take(self, responses: Iterator[QueryResponse], scheme: str) -> None:
        """Read the answers to `requests`, and decide whether they are enough."""
        self.found.clear()
        for _, using in self._arms():
            for point in next(responses).points:
                candidate = self._candidate(point, scheme)
                if using == DENSE:
                    candidate.dense = point.score
                else:
                    candidate.keyword = point.score
        best: set[str] = set()
        enough = True
        for _, using in self._arms():
            allowed, complete = self._best(using)
            best.update(allowed)
            enough = enough and complete
        if enough:
            self.hits = tuple(self._hit(key) for key in sorted(best))

    def _best(self, using: str) -> tuple[list[str], bool]:
        """Return the best of one arm, and whether there can be no better ones unseen."""
        scored = [
            (score, key)
            for key, candidate in self.found.items()
            if (score := candidate.dense if using == DENSE else candidate.keyword) is not None
            and (using == DENSE or score > 0.0)
        ]
        scored.sort(key=lambda each: (-each[0], each[1]))
        # The other arm's candidates come after these only as far as this arm has seen.
        seen = scored[: self.size]
        allowed = [key for _, key in seen if self.found[key].allowed][: self.query.limit]
        return allowed, len(allowed) == self.query.limit or self.exact or len(seen) < self.size

    def _candidate(self, point: models.ScoredPoint, scheme: str) -> _Candidate:
        payload = point.payload or {}
        try:
            key, version = str(payload[COORDINATE]), int(payload[VERSION])
        except (KeyError, TypeError, ValueError) as error:
            raise unreadable(point.id, scheme) from error
        if key not in self.found:
            self.found[key] = _Candidate(version, self._allows(payload))
        return self.found[key]

    def _allows(self, payload: models.Payload) -> bool:
        condition = self.query.filter
        if condition is None or self.exact:
            return True
        return matches(condition, msgspec.json.decode(payload[PAYLOAD]))

    def _hit(self, key: str) -> Hit:
        candidate = self.found[key]
        return Hit(
            coordinate=Coordinate.from_key(bytes.fromhex(key)),
            version=candidate.version,
            dense=None if self.query.vector is None else candidate.dense,
            keyword=(candidate.keyword or 0.0) if self.words else self._silent,
        )

    @property
    def _silent(self) -> float | None:
        """The keyword score where no term counts: of an arm that was asked for, nothing."""
        return 0.0 if self.query.terms else None

    def _arms(self) -> Iterator[tuple[models.NearestQuery, str]]:
        if self.query.vector is not None:
            yield models.NearestQuery(nearest=self.query.vector.tolist()), DENSE
        if self.words:
            yield models.NearestQuery(nearest=sparse(self.words)), WORDS

    def _prefetch(
        self, arms: Sequence[tuple[models.NearestQuery, str]], condition: models.Filter
    ) -> list[models.Prefetch]:
        return [
            models.Prefetch(
                query=query,
                using=using,
                filter=condition,
                params=self.params.get(using),
                limit=self.size,
            )
            for query, using in arms
        ]

    def _condition(self) -> models.Filter:
        possible = None if self.within is None else self.within.possible
        return scope(self.query.namespace, type=self.query.type, possible=possible)


class Searching:
    """Answers the searches of one call."""

    def __init__(self, connection: Connection, name: str) -> None:
        """Keep where to search.

        Args:
            connection: An open connection.
            name: Name of the collection on the server.
        """
        self._connection = connection
        self._name = name
        self._consistency = connection.settings.consistency
        self._limit = connection.settings.scan_limit

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
        questions = [_Question.of(query, self._params(query.namespace)) for query in queries]
        while waiting := [each for each in questions if each.hits is None]:
            await self._ask(waiting)
            for question in waiting:
                if question.hits is None:
                    self._widen(question)
        return [SearchResult(hits=question.hits or ()) for question in questions]

    def _params(self, namespace: str) -> dict[str, models.SearchParams]:
        params: dict[str, models.SearchParams] = {}
        if not self._connection.settings.local:
            params[DENSE] = _WIDELY
        if self._connection.counts_by_namespace:
            corpus = models.IdfCorpusParams(corpus=scope(namespace))
            params[WORDS] = models.SearchParams(idf=corpus)
        return params

    async def _ask(self, questions: Sequence[_Question]) -> None:
        requests = [request for question in questions for request in question.requests()]

        async def ask(client: AsyncQdrantClient) -> list[QueryResponse]:
            return await client.query_batch_points(
                self._name, requests=requests, consistency=self._consistency
            )

        try:
            responses = iter(await self._connection.run(ask))
        except RefusedError as error:
            if all(question.within is None for question in questions):
                raise
            raise InvalidFilterError(
                error.message, field="filter", remedy="Use a simpler filter."
            ) from error
        for question in questions:
            question.take(responses, self._connection.settings.scheme)

    def _widen(self, question: _Question) -> None:
        if question.size >= self._limit:
            raise InvalidFilterError(
                f"The filter leaves too few of the first {question.size} points, and Qdrant "
                "cannot look for substrings, or for texts and numbers that differ only far back.",
                field="filter",
                remedy="Add a condition that leaves fewer points, or raise scan_limit in the URL.",
            )
        question.size = min(question.size * _MORE, self._limit)
