"""Reads bodies of requests: bounded while they arrive, and strictly as JSON."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import cast

import msgspec
from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from sfm_core.engine.inputs import check_batch
from sfm_server.problems import BodyTooLargeError, MalformedBodyError, UnsupportedMediaTypeError

LINES_MEDIA_TYPES = frozenset(
    {
        "application/jsonl",
        "application/octet-stream",
        "application/x-ndjson",
        "text/plain",
    }
)
_SHOWN = 80
_BODYLESS = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})


class _JsonRequest(Request):
    """A request whose body was read and decoded before the framework asks for it."""

    def __init__(self, request: Request, document: object) -> None:
        super().__init__(request.scope, request.receive)
        self._document = document
        self._headers = request.headers.mutablecopy()
        # What was checked here is not to be checked again by other rules.
        self._headers["content-type"] = "application/json"

    async def body(self) -> bytes:
        return b"{}"

    async def json(self) -> object:
        return self._document


class JsonRoute(APIRoute):
    """A route whose body is JSON, no larger than the limit, and without NaN."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[None, None, Response]]:
        """Return what answers a request: read the body, then do what every route does."""
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            if request.method in _BODYLESS:
                return await answer(request)
            document = await read_json(request)
            _check_lists(document, request)
            return await answer(_JsonRequest(request, document))

        return handle


def _check_lists(document: object, request: Request) -> None:
    """See that no list is too long before each of its elements is looked at."""
    if isinstance(document, dict):
        limit: int = request.app.state.settings.max_batch
        for name, value in cast("dict[str, object]", document).items():
            if isinstance(value, list):
                check_batch(cast("list[object]", value), limit, field=name[:_SHOWN])


async def read_json(request: Request) -> object:
    """Read the body of a request as JSON.

    Args:
        request: The request; the limit is that of its application.

    Returns:
        What the body says.

    Raises:
        UnsupportedMediaTypeError: The body is declared as something else.
        BodyTooLargeError: It is larger than the limit.
        MalformedBodyError: It is not JSON.
    """
    declared, coding = media_type(request), request.headers.get("content-encoding", "identity")
    if coding.strip().lower() != "identity":
        raise UnsupportedMediaTypeError(
            f"The body is declared to be packed with {coding[:_SHOWN]}.",
            remedy="Send JSON as it is; imports of lines may be packed.",
        )
    if declared not in {"", "application/json"} and not declared.endswith("+json"):
        raise UnsupportedMediaTypeError(
            f"The body is declared as {declared[:_SHOWN]}.",
            remedy="Send JSON with `Content-Type: application/json`.",
        )
    return decode_json(await read_body(request))


def decode_json(body: bytes) -> object:
    """Decode JSON, refusing what JSON does not have.

    Args:
        body: The whole body.

    Returns:
        What it says.

    Raises:
        MalformedBodyError: Cut off, empty, not UTF-8, nested too deeply, with
            NaN, an infinity, half a surrogate pair, or a number out of range.
    """
    try:
        document: object = msgspec.json.decode(body)
    except RecursionError as error:
        raise MalformedBodyError("The body is nested too deeply.", remedy="Flatten it.") from error
    except ValueError as error:
        raise MalformedBodyError(
            f"The body is not JSON: {_reason(error, body)}.",
            remedy="Send one JSON document in UTF-8.",
        ) from error
    return document


async def read_body(request: Request) -> bytes:
    """Read a body, giving up as soon as it is too large.

    Args:
        request: The request; the limit is that of its application.

    Returns:
        The body.

    Raises:
        BodyTooLargeError: It is larger than the limit.
    """
    limit = body_limit(request)
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdecimal() and int(declared[:20]) > limit:
        raise _too_large(limit)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


def media_type(request: Request) -> str:
    """Return the media type that a request declares, without parameters; "" for none."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def body_limit(request: Request) -> int:
    """Return the largest body, in bytes, that the application takes."""
    limit: int = request.app.state.settings.max_body_bytes
    return limit


def _too_large(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError(
        f"The body takes more than {limit} bytes.",
        remedy="Send less at once, or raise SFM_MAX_BODY_BYTES.",
    )


def _reason(error: ValueError, body: bytes) -> str:
    if not body:
        return "it is empty"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    return str(error)
