"""Endpoints that look after derived stores."""

from __future__ import annotations

from fastapi import APIRouter

from sfm_core.errors import NotFoundError
from sfm_server import wire
from sfm_server.context import JsonAnswer, PlainContext
from sfm_server.limits import JsonRoute
from sfm_server.routes.documented import failures
from sfm_server.schemas import requests
from sfm_server.schemas.admin import CheckAnswer, RebuildAnswer
from sfm_server.schemas.collections import CollectionsAnswer, DroppedAnswer

router = APIRouter(tags=["admin"])
json_router = APIRouter(route_class=JsonRoute, tags=["admin"])


@router.post("/rebuild", response_model=RebuildAnswer, responses=failures())
async def rebuild(context: PlainContext) -> JsonAnswer:
    """Remake every derived store from the truth; answers when it is done."""
    return JsonAnswer(RebuildAnswer(rebuilt=await context.engine.rebuild()))


@router.get("/collections", response_model=CollectionsAnswer, responses=failures())
async def collections(context: PlainContext) -> JsonAnswer:
    """List the collections of the vector store, and what each is for."""
    listed = await context.engine.collections()
    return JsonAnswer(CollectionsAnswer(collections=[wire.collection(one) for one in listed]))


@router.delete(
    "/collections/{name}", response_model=DroppedAnswer, responses=failures(NotFoundError)
)
async def drop_collection(name: str, context: PlainContext) -> JsonAnswer:
    """Drop a collection that is kept or unlisted, to free its space."""
    await context.engine.drop_collection(name)
    return JsonAnswer(DroppedAnswer(dropped=name))


@json_router.post("/check", response_model=CheckAnswer, responses=failures(body=True))
async def check(body: requests.CheckRequest, context: PlainContext) -> JsonAnswer:
    """Compare the derived stores with the truth, and repair them if asked to."""
    return JsonAnswer(wire.check_report(await context.engine.check(repair=body.repair)))
