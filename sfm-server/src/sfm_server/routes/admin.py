"""Endpoints that move whole namespaces and look after derived stores."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, cast

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from sfm_core.errors import NotFoundError
from sfm_core.model.names import check_name
from sfm_server import wire
from sfm_server.conditions import KeyHeader
from sfm_server.context import BodyContext, Context, JsonAnswer, QueryContext
from sfm_server.limits import (
    LINES_MEDIA_TYPES,
    JsonRoute,
    body_limit,
    media_type,
    read_json,
    split_lines,
)
from sfm_server.problems import (
    ForbiddenPathError,
    InvalidRequestError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)
from sfm_server.routes.documented import ResponseDocs, failures
from sfm_server.schemas import requests
from sfm_server.schemas.admin import CheckAnswer, ExportAnswer, ImportAnswer, RebuildAnswer
from sfm_server.schemas.collections import CollectionsAnswer, DroppedAnswer

router = APIRouter(tags=["admin"])
json_router = APIRouter(route_class=JsonRoute, tags=["admin"])

LINES = "application/x-ndjson"
_CHUNK = 64 * 1024
_LINES_SCHEMA: dict[str, object] = {"type": "string", "format": "binary"}
_EXPORTED: ResponseDocs = {200: {"content": {LINES: {"schema": _LINES_SCHEMA}}}}


@router.get(
    "/export_memories",
    response_class=StreamingResponse,
    responses=_EXPORTED | failures(),
)
async def export_memories(
    context: QueryContext,
    namespaces: Annotated[
        list[str] | None, Query(description="Only these namespaces; all when it is left out.")
    ] = None,
) -> StreamingResponse:
    """Stream memories and links as JSON Lines.

    An export that was cut off lacks its last line, whose `kind` is `footer`.
    """
    lines = context.engine.export(await context.listed(_checked(namespaces)))
    # A failure before the first line can still be told by the status.
    first = await anext(lines, b"")
    return StreamingResponse(_chunks(context, first, lines), media_type=LINES)


@json_router.post(
    "/export_memories",
    response_model=ExportAnswer,
    responses=failures(ForbiddenPathError, body=True),
)
async def export_to_file(body: requests.ExportRequest, context: BodyContext) -> JsonAnswer:
    """Write memories and links to a file of the server's export folder."""
    lines = context.engine.export(await context.listed(_checked(body.namespaces)))
    async with aclosing(lines):
        written = await context.files.write_lines(context.settings.export_folder, body.path, lines)
    return JsonAnswer(ExportAnswer(exported=written, path=body.path))


@router.post(
    "/import_memories",
    response_model=ImportAnswer,
    responses=failures(ForbiddenPathError, body=True),
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                LINES: {"schema": _LINES_SCHEMA},
                "application/json": {
                    "schema": {
                        "type": "object",
                        "properties": {"path": {"type": "string", "minLength": 1}},
                        "required": ["path"],
                        "additionalProperties": False,
                    }
                },
            },
        }
    },
)
async def import_memories(request: Request, context: QueryContext, key: KeyHeader) -> JsonAnswer:
    """Store what JSON Lines say: an export, or lines `{namespace, coord, type, payload}`.

    Lines that cannot be understood are listed, the rest is stored. With
    `application/json`, the lines come from a file of the server's export folder.
    """
    if media_type(request) == "application/json":
        context.visit.everywhere()
        path = await _import_path(request)
        chunks = context.files.read_chunks(context.settings.export_folder, path)
    else:
        chunks = _sent_lines(request)
    lines = _admitted(context, split_lines(chunks, limit=body_limit(request)))
    report = await context.engine.import_lines(
        lines,
        default_namespace=context.fallback,
        permits=context.visit.permits,
        idempotency_key=key,
    )
    return JsonAnswer(wire.import_report(report))


@router.post("/rebuild", response_model=RebuildAnswer, responses=failures())
async def rebuild(context: QueryContext) -> JsonAnswer:
    """Remake every derived store from the truth; answers when it is done."""
    return JsonAnswer(RebuildAnswer(rebuilt=await context.engine.rebuild()))


@router.get("/collections", response_model=CollectionsAnswer, responses=failures())
async def collections(context: QueryContext) -> JsonAnswer:
    """List the collections of the vector store, and what each is for."""
    listed = await context.engine.collections()
    return JsonAnswer(CollectionsAnswer(collections=[wire.collection(one) for one in listed]))


@router.delete(
    "/collections/{name}", response_model=DroppedAnswer, responses=failures(NotFoundError)
)
async def drop_collection(name: str, context: QueryContext) -> JsonAnswer:
    """Drop a collection that is kept or unlisted, to free its space."""
    await context.engine.drop_collection(name)
    return JsonAnswer(DroppedAnswer(dropped=name))


@json_router.post("/check", response_model=CheckAnswer, responses=failures(body=True))
async def check(body: requests.CheckRequest, context: BodyContext) -> JsonAnswer:
    """Compare the derived stores with the truth, and repair them if asked to."""
    return JsonAnswer(wire.check_report(await context.engine.check(repair=body.repair)))


def _checked(namespaces: list[str] | None) -> list[str] | None:
    """Refuse a malformed name before the answer has begun, when its status can still say so."""
    for name in namespaces or ():
        check_name(name, field="namespaces")
    return namespaces


async def _import_path(request: Request) -> str:
    document = await read_json(request)
    members = cast(dict[str, object], document) if isinstance(document, dict) else {}
    path = members.get("path")
    if len(members) != 1 or not isinstance(path, str):
        raise InvalidRequestError(
            "The body is not of the form {path}.", remedy='Send {"path": "backup.jsonl"}.'
        )
    return path


def _sent_lines(request: Request) -> AsyncGenerator[bytes]:
    kind = media_type(request)
    if kind not in LINES_MEDIA_TYPES:
        raise UnsupportedMediaTypeError(
            f"The body is declared as {kind[:80] or 'nothing'}.",
            remedy=f"Send the lines with `Content-Type: {LINES}`.",
        )
    return request.stream()


async def _admitted(context: Context, lines: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """Pass lines on as long as the caller's token is in force."""
    async with aclosing(lines):
        async for line in lines:
            if not context.visit.admitted():
                raise UnauthorizedError(
                    "The token was revoked or has expired; what came before is stored.",
                    remedy="Send the rest with another token.",
                )
            yield line


async def _chunks(
    context: Context, first: bytes, lines: AsyncGenerator[bytes]
) -> AsyncGenerator[bytes]:
    block = bytearray(first + b"\n" if first else b"")
    # Whoever stops reading must not leave a scan of the store open.
    async with aclosing(lines):
        async for line in lines:
            block += line
            block += b"\n"
            if len(block) >= _CHUNK:
                if not context.visit.admitted():
                    # Whose token was revoked meanwhile gets no more, and no footer.
                    return
                yield bytes(block)
                block.clear()
    if block:
        yield bytes(block)
