"""Endpoints that tell what changed."""

from __future__ import annotations

from fastapi import APIRouter

from sfm_core import errors
from sfm_server import wire
from sfm_server.context import BodyContext, JsonAnswer
from sfm_server.limits import JsonRoute
from sfm_server.routes.documented import failures
from sfm_server.schemas import requests
from sfm_server.schemas.events import ReplayAnswer

router = APIRouter(route_class=JsonRoute, tags=["events"])


@router.post(
    "/events/replay",
    response_model=ReplayAnswer,
    responses=failures(errors.EventsOffError, body=True),
)
async def replay(body: requests.ReplayRequest, context: BodyContext) -> JsonAnswer:
    """Tell again what changed since a time; answers when it is done."""
    report = await context.engine.replay_events(
        wire.moment(body.since, field="from"), namespaces=body.namespaces, dry_run=body.dry_run
    )
    return JsonAnswer(wire.replay_report(report))
