"""What the OpenAPI document says about errors, for every route."""

from __future__ import annotations

from http import HTTPStatus

from sfm_core import errors
from sfm_server import problems
from sfm_server.problems import PROBLEM_JSON, status_of

PROBLEM_SCHEMA = "#/components/schemas/Problem"

ResponseDocs = dict[int | str, dict[str, object]]

_COMMON: tuple[type[errors.SfmError], ...] = (
    problems.UnauthorizedError,
    problems.ForbiddenError,
    problems.InvalidRequestError,
    problems.TooManyRequestsError,
    errors.BackendUnavailableError,
)
_WITH_BODY: tuple[type[errors.SfmError], ...] = (
    problems.MalformedBodyError,
    problems.RequestTimeoutError,
    problems.BodyTooLargeError,
    problems.UnsupportedMediaTypeError,
    errors.StorageFullError,
)


def failures(*extra: type[errors.SfmError], body: bool = False) -> ResponseDocs:
    """Document how a route can fail.

    Args:
        extra: Errors beside those that every route has.
        body: Whether the route reads a body.

    Returns:
        One entry per status, with an example.
    """
    documented: ResponseDocs = {}
    for error in (*_COMMON, *(_WITH_BODY if body else ()), *extra):
        status = status_of(error)
        documented.setdefault(status.value, _described(error, status))
    return documented


def _described(error: type[errors.SfmError], status: HTTPStatus) -> dict[str, object]:
    summary = (error.__doc__ or "").partition("\n")[0]
    return {
        "description": summary,
        # A model here would be compiled once per route and status, which start-up would notice.
        "content": {
            PROBLEM_JSON: {
                "schema": {"$ref": PROBLEM_SCHEMA},
                "example": {
                    "type": f"{problems.TYPE_PREFIX}{error.code}",
                    "title": problems.title_of(error),
                    "status": status.value,
                    "detail": summary,
                    "instance": "/…",
                    "retryable": error.retryable,
                    "remedy": "",
                },
            }
        },
    }
