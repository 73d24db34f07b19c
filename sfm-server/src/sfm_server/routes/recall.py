"""Endpoints that recall memories."""

from __future__ import annotations

from collections.abc import Sequence

from fastapi import APIRouter
from msgspec import UnsetType

from sfm_core import errors
from sfm_core.model.query import Recalled, RecallQuery
from sfm_server import wire
from sfm_server.context import BodyContext, Context, JsonAnswer
from sfm_server.freshness import is_stale
from sfm_server.limits import JsonRoute
from sfm_server.routes.documented import failures
from sfm_server.schemas import requests
from sfm_server.schemas.recall import BatchesAnswer, MatchesAnswer, ResultsAnswer
from sfm_server.schemas.values import Json

router = APIRouter(route_class=JsonRoute, tags=["memories"])

_FAILURES = failures(errors.InvalidFilterError, errors.InvalidPositionError, body=True)


@router.post("/recall", response_model=MatchesAnswer, responses=_FAILURES)
async def recall(body: requests.RecallRequest, context: BodyContext) -> JsonAnswer:
    """Recall the payloads that answer a query best."""
    stale, found = await _found(context, body, _query(body, body.query))
    return JsonAnswer(MatchesAnswer(matches=_payloads(found), stale=stale))


@router.post("/recall_batch", response_model=BatchesAnswer, responses=_FAILURES)
async def recall_batch(body: requests.RecallBatchRequest, context: BodyContext) -> JsonAnswer:
    """Recall for many queries, sharing the work."""
    queries = [_query(body, text) for text in body.queries]
    stale = await is_stale(context.engine, body.min_position)
    found = await context.engine.recall_many(context.namespace_of(body), queries)
    return JsonAnswer(BatchesAnswer(batches=[_payloads(one) for one in found], stale=stale))


@router.post("/recall_with_scores", response_model=ResultsAnswer, responses=_FAILURES)
async def recall_with_scores(
    body: requests.RecallWithScoresRequest, context: BodyContext
) -> JsonAnswer:
    """Recall along with coordinates and scores; `explain` says what each score is made of."""
    stale, found = await _found(context, body, _query(body, body.query))
    return JsonAnswer(_results(found, explain=body.explain, stale=stale))


@router.post("/recall_with_context", response_model=ResultsAnswer, responses=_FAILURES)
async def recall_with_context(
    body: requests.RecallWithContextRequest, context: BodyContext
) -> JsonAnswer:
    """Recall in the light of what is going on, which weighs less than the query."""
    query = _query(body, body.query, going_on=body.context)
    stale, found = await _found(context, body, query)
    return JsonAnswer(_results(found, explain=body.explain, stale=stale))


async def _found(
    context: Context, body: requests.RecallOptions, query: RecallQuery
) -> tuple[bool | UnsetType, list[Recalled]]:
    """Wait for what the request wants to be seen, then answer; tell whether that took too long."""
    stale = await is_stale(context.engine, body.min_position)
    return stale, await context.engine.recall(context.namespace_of(body), query)


def _query(body: requests.RecallOptions, text: str, *, going_on: object = "") -> RecallQuery:
    return wire.recall_query(
        text,
        top_k=body.top_k,
        type_name=body.type,
        filters=body.filters,
        context=going_on,
        arms=body.mode,
    )


def _payloads(found: Sequence[Recalled]) -> list[Json]:
    return [one.memory.payload for one in found]


def _results(found: Sequence[Recalled], *, explain: bool, stale: bool | UnsetType) -> ResultsAnswer:
    results = [wire.scored(one, explain=explain) for one in found]
    return ResultsAnswer(results=results, stale=stale)
