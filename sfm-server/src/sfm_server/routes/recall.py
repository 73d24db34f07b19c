"""Endpoints that recall memories."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter

from sfm_core import errors
from sfm_core.model.query import Recalled, RecallQuery
from sfm_server import wire
from sfm_server.context import Context, JsonAnswer, NamedContext
from sfm_server.limits import JsonRoute
from sfm_server.recalling import Answered, Wishes, answer, scored
from sfm_server.routes.documented import failures
from sfm_server.schemas import requests
from sfm_server.schemas.recall import BatchesAnswer, MatchesAnswer, ResultsAnswer
from sfm_server.schemas.values import Json, unasked

router = APIRouter(route_class=JsonRoute, tags=["memories"])

_FAILURES = failures(errors.InvalidFilterError, errors.InvalidPositionError, body=True)


@router.post("/recall", response_model=MatchesAnswer, responses=_FAILURES)
async def recall(body: requests.RecallRequest, context: NamedContext) -> JsonAnswer:
    """Recall the payloads that answer a query best."""
    told = await _answered(context, body, _query(body, body.query))
    [found] = told.found
    return JsonAnswer(
        MatchesAnswer(
            matches=_payloads(found),
            stale=told.stale,
            left_out=told.left_out,
            incomplete=told.incomplete,
            explained=[scored(one, explain=True) for one in found] if body.explain else unasked(),
            why_not=told.why_not,
        )
    )


@router.post("/recall_batch", response_model=BatchesAnswer, responses=_FAILURES)
async def recall_batch(body: requests.RecallBatchRequest, context: NamedContext) -> JsonAnswer:
    """Recall for many queries, sharing the work."""
    queries = [_query(body, text) for text in body.queries]
    wishes = Wishes(min_position=body.min_position, deadline_ms=body.deadline_ms)
    told = await answer(context.engine, context.namespace_of(body), queries, wishes)
    return JsonAnswer(
        BatchesAnswer(
            batches=[_payloads(one) for one in told.found],
            stale=told.stale,
            left_out=told.left_out,
            incomplete=told.incomplete,
        )
    )


@router.post("/recall_with_scores", response_model=ResultsAnswer, responses=_FAILURES)
async def recall_with_scores(
    body: requests.RecallWithScoresRequest, context: NamedContext
) -> JsonAnswer:
    """Recall along with coordinates and scores; `explain` says what each score is made of."""
    told = await _answered(context, body, _query(body, body.query))
    return JsonAnswer(_results(told, explain=body.explain))


@router.post("/recall_with_context", response_model=ResultsAnswer, responses=_FAILURES)
async def recall_with_context(
    body: requests.RecallWithContextRequest, context: NamedContext
) -> JsonAnswer:
    """Recall in the light of what is going on, which weighs less than the query."""
    query = _query(body, body.query, going_on=body.context)
    return JsonAnswer(_results(await _answered(context, body, query), explain=body.explain))


async def _answered(context: Context, body: requests.RecallRequest, query: RecallQuery) -> Answered:
    wishes = Wishes(
        min_position=body.min_position,
        deadline_ms=body.deadline_ms,
        why_not=None if body.why_not is None else wire.coordinate(body.why_not, field="why_not"),
    )
    return await answer(context.engine, context.namespace_of(body), [query], wishes)


def _query(body: requests.RecallOptions, text: str, *, going_on: object = "") -> RecallQuery:
    return wire.recall_query(
        text,
        top_k=body.top_k,
        type_name=body.type,
        filters=body.filters,
        context=going_on,
        arms=body.mode,
        as_of=body.as_of,
    )


def _payloads(found: Sequence[Recalled]) -> list[Json]:
    return [one.memory.payload for one in found]


def _results(told: Answered, *, explain: bool) -> ResultsAnswer:
    [found] = told.found
    results = [scored(one, explain=explain) for one in found]
    return ResultsAnswer(
        results=results,
        stale=told.stale,
        left_out=told.left_out,
        incomplete=told.incomplete,
        why_not=told.why_not,
    )
