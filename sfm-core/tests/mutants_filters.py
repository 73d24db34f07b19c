"""Vector stores that misunderstand filters. The kit must notice every one.

Each is listed at the end with the test that has to fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from sfm_core.inprocess import InProcessVectorStore
from sfm_core.model.filters import (
    AllOf,
    AnyOf,
    Compare,
    Filter,
    Negation,
    OneOf,
    values_at,
)
from sfm_core.model.payload import JsonValue
from sfm_core.protocols.vector import (
    Collection,
    SearchResult,
    VectorQuery,
)


class UnderstandsFiltersWrongly(InProcessVectorStore):
    """Rewrites filters before they are evaluated."""

    def rewritten(self, condition: Filter) -> Filter:
        raise NotImplementedError

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        wrong = [replace(q, filter=q.filter and _mapped(q.filter, self.rewritten)) for q in queries]
        return await super().search(collection, wrong)


class TrueEqualsOne(UnderstandsFiltersWrongly):
    def rewritten(self, condition: Filter) -> Filter:
        if not isinstance(condition, OneOf):
            return condition
        numbers: list[JsonValue] = [int(one) for one in condition.operands if isinstance(one, bool)]
        return OneOf(condition.path, (*condition.operands, *numbers))


class RangesIgnoreEquality(UnderstandsFiltersWrongly):
    def rewritten(self, condition: Filter) -> Filter:
        if isinstance(condition, Compare) and condition.comparison.value.endswith("e"):
            return AllOf((condition, Negation(OneOf(condition.path, (condition.operand,)))))
        return condition


class DotsAreNoPaths(UnderstandsFiltersWrongly):
    def rewritten(self, condition: Filter) -> Filter:
        if isinstance(condition, OneOf):
            return OneOf(condition.path.split(".")[0], condition.operands)
        return condition


class NegationNeedsTheField(UnderstandsFiltersWrongly):
    """`$ne` of an absent field is unknown in SQL, and so finds nothing."""

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        found = await InProcessVectorStore.search(self, collection, queries)
        answers: list[SearchResult] = []
        for query, result in zip(queries, found, strict=True):
            points = self._state.points(collection, query.namespace)
            payloads = {point.id.coordinate: point.payload for point in points}
            part = query.filter.part if isinstance(query.filter, Negation) else None
            answers.append(
                SearchResult(
                    hits=tuple(
                        hit
                        for hit in result.hits
                        if not isinstance(part, OneOf)
                        or values_at(payloads[hit.coordinate], part.path)
                    )
                )
            )
        return answers


FILTER_MUTANTS: dict[type[InProcessVectorStore], str] = {
    TrueEqualsOne: "test_a_filter_matches_what_the_language_says",
    RangesIgnoreEquality: "test_a_filter_matches_what_the_language_says",
    DotsAreNoPaths: "test_a_filter_matches_what_the_language_says",
    NegationNeedsTheField: "test_a_filter_matches_what_the_language_says",
}


def _mapped(condition: Filter, change: Callable[[Filter], Filter]) -> Filter:
    again = partial(_mapped, change=change)
    match condition:
        case AllOf(parts):
            return AllOf(tuple(map(again, parts)))
        case AnyOf(parts):
            return AnyOf(tuple(map(again, parts)))
        case Negation(part):
            return Negation(again(part))
        case _:
            return change(condition)
