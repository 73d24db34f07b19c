"""Endpoints that move whole namespaces in and out."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, cast

from fastapi import APIRouter, Header, Query, Request
from starlette.responses import StreamingResponse

from sfm_core import errors
from sfm_core.engine.portable import MEMORY_LINE
from sfm_core.model.names import check_name
from sfm_server import wire
from sfm_server.codings import Coding, coding_of_content, coding_of_name, coding_to_accept
from sfm_server.conditions import KeyHeader
from sfm_server.context import Context, JsonAnswer, NamedContext, PlainContext
from sfm_server.importing import Import
from sfm_server.limits import (
    LINES_MEDIA_TYPES,
    JsonRoute,
    body_limit,
    media_type,
    read_json,
)
from sfm_server.packing import blocks_of, packed, split_lines, unpacked
from sfm_server.problems import (
    ForbiddenPathError,
    InvalidRequestError,
    UnauthorizedError,
    UnsupportedMediaTypeError,
)
from sfm_server.routes.documented import ResponseDocs, failures
from sfm_server.schemas import requests
from sfm_server.schemas.admin import ExportAnswer, ImportAnswer, ImportMode

log = logging.getLogger(__name__)

router = APIRouter(tags=["admin"])
json_router = APIRouter(route_class=JsonRoute, tags=["admin"])

LINES = "application/x-ndjson"
_LINES_SCHEMA: dict[str, object] = {"type": "string", "format": "binary"}
_EXPORTED: ResponseDocs = {200: {"content": {LINES: {"schema": _LINES_SCHEMA}}}}
_IMPORT_BODY: dict[str, object] = {
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
}


@router.get(
    "/export_memories",
    response_class=StreamingResponse,
    responses=_EXPORTED | failures(),
)
async def export_memories(
    context: PlainContext,
    namespaces: Annotated[
        list[str],
        Query(default_factory=list, description="Only these namespaces; all when it is left out."),
    ],
    accept_encoding: Annotated[
        str | None, Header(description="`gzip` or `zstd`, to have it packed.")
    ] = None,
) -> StreamingResponse:
    """Stream memories and links as JSON Lines, packed with gzip or zstd where that is accepted.

    An export that was cut off lacks its last line, whose `kind` is `footer`, and
    which has the numbers of memories and links and the SHA-256 of the lines before it.
    """
    listed = await context.listed(_checked(namespaces or None))
    blocks = blocks_of(context.engine.export(listed))
    # A failure before that can still be told by the status; for the first line nothing is read.
    first = await anext(blocks, b"")
    coding = coding_to_accept(accept_encoding)
    headers = {"Vary": "Accept-Encoding"}
    if coding is not Coding.NONE:
        headers["Content-Encoding"] = coding
    admitted = _admitted_blocks(context, _again(first, blocks))
    return StreamingResponse(packed(admitted, coding), media_type=LINES, headers=headers)


@json_router.post(
    "/export_memories",
    response_model=ExportAnswer,
    responses=failures(ForbiddenPathError, body=True),
)
async def export_to_file(body: requests.ExportRequest, context: PlainContext) -> JsonAnswer:
    """Write memories and links to a file of the server's export folder.

    It is packed if its name ends in `.gz` or `.zst`.
    """
    lines = _Counted(context.engine.export(await context.listed(_checked(body.namespaces))))
    blocks = packed(blocks_of(lines.counted()), coding_of_name(body.path))
    async with aclosing(blocks):
        await context.files.write(context.settings.export_folder, body.path, blocks)
    return JsonAnswer(ExportAnswer(exported=lines.count, path=body.path))


@router.post(
    "/import_memories",
    response_model=ImportAnswer,
    responses=failures(ForbiddenPathError, body=True),
    openapi_extra=_IMPORT_BODY,
)
async def import_memories(
    request: Request,
    context: NamedContext,
    key: KeyHeader,
    mode: Annotated[
        ImportMode,
        Query(
            description="What a line that is not acceptable does: with `lines` it is left out, "
            "with `atomic` nothing is stored, and with `check` nothing is stored in any case."
        ),
    ] = ImportMode.LINES,
    content_encoding: Annotated[
        str | None, Header(description="`gzip` or `zstd`, where the body is packed.")
    ] = None,
) -> JsonAnswer:
    """Store what JSON Lines say: an export, or lines `{namespace, coord, type, payload}`.

    Lines that cannot be understood are listed, the rest is stored, unless `mode` says
    otherwise. With `application/json`, the lines come from a file of the server's
    export folder, which is packed if its name ends in `.gz` or `.zst`.
    """
    if media_type(request) == "application/json":
        context.visit.everywhere()
        path = await _import_path(request)
        coding = coding_of_name(path)
        chunks = context.files.read_chunks(context.settings.export_folder, path)
    else:
        coding = coding_of_content(content_encoding)
        chunks = _sent_lines(request)
    sent = split_lines(unpacked(chunks, coding), limit=body_limit(request))
    importing = Import(
        namespace=context.fallback_of_lines, mode=mode, key=key, permits=context.visit.permits
    )
    report = await importing.run(context.engine, _admitted(context, sent))
    return JsonAnswer(wire.import_report(report))


def _checked(namespaces: list[str] | None) -> list[str] | None:
    """Refuse a malformed name before the answer has begun, when its status can still say so."""
    if namespaces is None:
        return None
    for name in namespaces:
        check_name(name, field="namespaces")
    return list(dict.fromkeys(namespaces))


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


async def _again(first: bytes, blocks: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    # Whoever stops reading must not leave a scan of the store open.
    async with aclosing(blocks):
        yield first
        async for block in blocks:
            yield block


async def _admitted_blocks(
    context: Context, blocks: AsyncGenerator[bytes]
) -> AsyncGenerator[bytes]:
    """Pass blocks on; whose token was revoked meanwhile gets no more, and no footer."""
    async with aclosing(blocks):
        try:
            async for block in blocks:
                if not context.visit.admitted():
                    return
                yield block
        except errors.SfmError as error:
            # The status is sent; who gets no footer knows that it is not whole.
            log.warning("an export is cut off: %s: %s", error.code, error)


class _Counted:
    """Counts the memories whose lines pass by."""

    def __init__(self, lines: AsyncGenerator[bytes]) -> None:
        self._lines = lines
        self.count = 0

    async def counted(self) -> AsyncGenerator[bytes]:
        async with aclosing(self._lines):
            async for line in self._lines:
                self.count += line.startswith(MEMORY_LINE)
                yield line
