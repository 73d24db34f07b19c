"""Vector stores that break one promise each. The kit must notice every one.

Each is listed at the end with the test that has to fail."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sfm_core.inprocess import InProcessVectorStore
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import matches
from sfm_core.protocols.vector import (
    Collection,
    Hit,
    Point,
    SearchResult,
    VectorQuery,
)

LARGE = 10_000


class AsksDifferently(InProcessVectorStore):
    """Changes each query before it is answered."""

    def changed(self, query: VectorQuery) -> VectorQuery:
        raise NotImplementedError

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        return await super().search(collection, [self.changed(query) for query in queries])


class KeepsDifferently(InProcessVectorStore):
    """Changes each point before it is kept."""

    def changed(self, point: Point) -> Point:
        raise NotImplementedError

    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        await super().upsert(collection, [self.changed(point) for point in points])


class AnswersDifferently(InProcessVectorStore):
    """Changes each hit after it was found."""

    def changed(self, hit: Hit) -> Hit:
        raise NotImplementedError

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        found = await super().search(collection, queries)
        return [SearchResult(hits=tuple(map(self.changed, result.hits))) for result in found]


class ScoreInverted(AsksDifferently):
    def changed(self, query: VectorQuery) -> VectorQuery:
        return replace(query, vector=None if query.vector is None else -query.vector)


class DistanceInsteadOfSimilarity(AnswersDifferently):
    def changed(self, hit: Hit) -> Hit:
        return replace(hit, dense=None if hit.dense is None else 1.0 - hit.dense)


class FilterDropped(AsksDifferently):
    def changed(self, query: VectorQuery) -> VectorQuery:
        return replace(query, filter=None)


class TypeDropped(AsksDifferently):
    def changed(self, query: VectorQuery) -> VectorQuery:
        return replace(query, type=None)


class QueryWeightsIgnored(AsksDifferently):
    def changed(self, query: VectorQuery) -> VectorQuery:
        return replace(query, terms=dict.fromkeys(query.terms or {}, 1.0))


class FrequenciesIgnored(KeepsDifferently):
    def changed(self, point: Point) -> Point:
        return replace(point, terms=dict.fromkeys(point.terms, 1.0))


class FrequenciesRounded(KeepsDifferently):
    def changed(self, point: Point) -> Point:
        return replace(point, terms={term: math.ceil(n) for term, n in point.terms.items()})


class LengthIgnored(KeepsDifferently):
    def changed(self, point: Point) -> Point:
        padding = 100.0 - sum(point.terms.values())
        return replace(point, terms={**point.terms, "\0padding": padding})


class TermsIgnoreCase(KeepsDifferently):
    def changed(self, point: Point) -> Point:
        return replace(point, terms=_folded(point.terms))

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        folded = [replace(query, terms=_folded(query.terms or {})) for query in queries]
        return await super().search(collection, folded)


class CoordinatesRounded(AnswersDifferently):
    def changed(self, hit: Hit) -> Hit:
        rounded = (round(number, 6) for number in hit.coordinate.components)
        return replace(hit, coordinate=Coordinate.of(rounded))


class VersionsForgotten(AnswersDifferently):
    def changed(self, hit: Hit) -> Hit:
        return replace(hit, version=1)


class NoKeywordScoreForDenseHits(AnswersDifferently):
    def changed(self, hit: Hit) -> Hit:
        return replace(hit, keyword=hit.keyword or None)


class RarityIgnored(InProcessVectorStore):
    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        await self._turn()
        return await super().search(
            collection, [self._levelled(collection, query) for query in queries]
        )

    def _levelled(self, collection: Collection, query: VectorQuery) -> VectorQuery:
        points = list(self._state.points(collection, query.namespace))
        terms: dict[str, float] = {}
        for term, weight in (query.terms or {}).items():
            having = sum(1 for point in points if term in point.terms)
            terms[term] = weight / math.log(1 + (len(points) - having + 0.5) / (having + 0.5))
        return replace(query, terms=terms)


class CommonTermsFindNothing(InProcessVectorStore):
    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        await self._turn()
        narrowed: list[VectorQuery] = []
        for query in queries:
            points = list(self._state.points(collection, query.namespace))
            kept = {
                term: weight
                for term, weight in (query.terms or {}).items()
                if 2 * sum(1 for point in points if term in point.terms) < len(points)
            }
            narrowed.append(replace(query, terms=kept))
        return await super().search(collection, narrowed)


class FilterAfterTheLimit(InProcessVectorStore):
    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        loose = await super().search(collection, [replace(q, filter=None) for q in queries])
        answers: list[SearchResult] = []
        for query, result in zip(queries, loose, strict=True):
            points = self._state.points(collection, query.namespace)
            payloads = {point.id.coordinate: point.payload for point in points}
            answers.append(
                SearchResult(
                    hits=tuple(
                        hit
                        for hit in result.hits
                        if query.filter is None or matches(query.filter, payloads[hit.coordinate])
                    )
                )
            )
        return answers


class TenantLeaked(InProcessVectorStore):
    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        everybody = "everybody"
        await super().upsert(collection, points)
        shared = [replace(p, id=replace(p.id, namespace=everybody)) for p in points]
        await super().upsert(collection, shared)

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        return await super().search(
            collection, [replace(query, namespace="everybody") for query in queries]
        )


class TermsOfReplacedPointsStay(InProcessVectorStore):
    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        await self._turn()
        kept: list[Point] = []
        for point in points:
            found = self._state.points(collection, point.id.namespace).get(point.id.coordinate.key)
            terms = {**found.terms, **point.terms} if found else point.terms
            kept.append(replace(point, terms=terms))
        await super().upsert(collection, kept)


class PayloadsAreMerged(InProcessVectorStore):
    async def upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        await self._turn()
        kept: list[Point] = []
        for point in points:
            found = self._state.points(collection, point.id.namespace).get(point.id.coordinate.key)
            payload = {**found.payload, **point.payload} if found else point.payload
            kept.append(replace(point, payload=payload))
        await super().upsert(collection, kept)


class BatchAnswersReversed(InProcessVectorStore):
    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        return (await super().search(collection, queries))[::-1]


class FilterOfTheFirstQueryForAll(InProcessVectorStore):
    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        same = [replace(query, filter=queries[0].filter) for query in queries]
        return await super().search(collection, same)


class AtMostAThousandHits(AsksDifferently):
    def changed(self, query: VectorQuery) -> VectorQuery:
        return replace(query, limit=min(query.limit, 1000))


class LimitForBothArmsTogether(InProcessVectorStore):
    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        found = await super().search(collection, queries)
        return [
            SearchResult(hits=result.hits[: query.limit])
            for query, result in zip(queries, found, strict=True)
        ]


VECTOR_MUTANTS: dict[type[InProcessVectorStore], str] = {
    ScoreInverted: "test_the_dense_score_is_the_cosine",
    DistanceInsteadOfSimilarity: "test_the_dense_score_is_the_cosine",
    FilterDropped: "test_any_filter_matches_as_the_reference_does",
    TypeDropped: "test_the_type_narrows_both_arms",
    QueryWeightsIgnored: "test_the_weight_of_a_query_term_counts",
    FrequenciesIgnored: "test_a_higher_frequency_counts_more",
    FrequenciesRounded: "test_half_a_frequency_counts_less",
    LengthIgnored: "test_a_shorter_text_counts_more",
    TermsIgnoreCase: "test_terms_are_compared_for_equality_only",
    CoordinatesRounded: "test_coordinate_and_version_come_back_exactly",
    VersionsForgotten: "test_coordinate_and_version_come_back_exactly",
    NoKeywordScoreForDenseHits: "test_a_hit_of_one_arm_has_its_score_in_the_other",
    RarityIgnored: "test_a_rarer_term_counts_more",
    CommonTermsFindNothing: "test_a_term_that_every_point_has_still_finds_them",
    FilterAfterTheLimit: "test_a_filter_that_leaves_few_points_finds_them_all",
    TenantLeaked: "test_namespaces_that_look_alike_stay_apart",
    TermsOfReplacedPointsStay: "test_writing_a_memory_again_replaces_its_point",
    PayloadsAreMerged: "test_writing_a_memory_again_replaces_its_point",
    BatchAnswersReversed: "test_queries_of_a_batch_are_answered_in_order",
    FilterOfTheFirstQueryForAll: "test_each_query_of_a_batch_is_narrowed_by_itself",
    AtMostAThousandHits: "test_large_calls_are_done_as_a_whole",
    LimitForBothArmsTogether: "test_a_hit_of_one_arm_has_its_score_in_the_other",
}


def _folded(terms: Mapping[str, float]) -> dict[str, float]:
    return {term.casefold(): weight for term, weight in terms.items()}
