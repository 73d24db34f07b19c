"""Errors as `application/problem+json` (RFC 9457): one table, one shape.

`type` is `urn:sfm:error:` + a code that stays the same between versions, so
programs may compare it. `detail` says what happened, `remedy` what to do about
it, `retryable` whether the same request can succeed later, `field` which part
of the request is at fault.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from types import MappingProxyType

import msgspec
from starlette.responses import Response

from sfm_core import errors
from sfm_core.model.report import LineError

PROBLEM_JSON = "application/problem+json"
TYPE_PREFIX = "urn:sfm:error:"
WITHHELD = "A backend could not do what was asked; the log of the server says why."
"""In place of what a backend says, which may name hosts, folders and what lies beside."""

INVALID_TOKEN = 'Bearer error="invalid_token"'  # noqa: S105 - a scheme's word for it
"""What the answer says under `WWW-Authenticate` where a token is not good, or not any more."""


class RequestError(errors.SfmError):
    """Base of the errors that only exist over HTTP."""


class MalformedBodyError(RequestError):
    """The body is not JSON: cut off, not UTF-8, nested too deeply, or with NaN."""

    code = "malformed-body"


class InvalidRequestError(RequestError):
    """The request does not fit the OpenAPI document."""

    code = "invalid-request"


class BodyTooLargeError(RequestError):
    """The body has more bytes than the server takes."""

    code = "body-too-large"


class UnsupportedMediaTypeError(RequestError):
    """The body is of a media type that the endpoint does not read."""

    code = "unsupported-media-type"


class UnauthorizedError(RequestError):
    """The request carries no valid token.

    Attributes:
        challenge: What the answer says under `WWW-Authenticate`.
    """

    code = "unauthorized"

    def __init__(self, message: str, *, challenge: str = "Bearer", remedy: str = "") -> None:
        """Keep the challenge along with what is wrong.

        Args:
            message: What is wrong with the token.
            challenge: How to authenticate.
            remedy: What the caller can do.
        """
        super().__init__(message, remedy=remedy)
        self.challenge = challenge


class ForbiddenError(RequestError):
    """The token is valid and does not allow this, or not in this namespace."""

    code = "forbidden"


class ForeignOriginError(RequestError):
    """No token is needed, and the request comes from a page of another origin."""

    code = "foreign-origin"


class TooManyRequestsError(RequestError):
    """The caller has sent more requests in a minute than the server takes.

    Attributes:
        wait_seconds: When the next ones will be taken.
    """

    code = "too-many-requests"
    retryable = True

    def __init__(self, message: str, *, wait_seconds: int, remedy: str = "") -> None:
        """Keep how long to wait.

        Args:
            message: What happened.
            wait_seconds: When the next requests will be taken.
            remedy: What the caller can do.
        """
        super().__init__(message, remedy=remedy)
        self.wait_seconds = wait_seconds


class OverloadedError(RequestError):
    """The server has more work of this kind in hand than it takes; nothing was done."""

    code = "overloaded"
    retryable = True


class RequestTimeoutError(RequestError):
    """The request took too long to arrive; nothing was done."""

    code = "request-timeout"
    retryable = True


class HeadTooLargeError(RequestError):
    """The head of the request has more bytes than the server takes."""

    code = "head-too-large"


class ForbiddenPathError(RequestError):
    """The path is outside the export folder, or there is no such folder."""

    code = "forbidden-path"


class ImportRefusedError(errors.InvalidInputError):
    """Lines of an import that is all or nothing are not acceptable; nothing was stored.

    Attributes:
        lines: The first of them, with the reason.
    """

    code = "import-refused"

    def __init__(
        self,
        message: str,
        *,
        field: str = "lines",
        lines: Sequence[LineError] = (),
        remedy: str = "",
    ) -> None:
        """Keep the lines along with how many there are.

        Args:
            message: How many there are.
            field: What is at fault.
            lines: The first of them, with the reason.
            remedy: What the caller can do.
        """
        super().__init__(message, field=field, remedy=remedy)
        self.lines = tuple(lines)


class NoSuchRouteError(RequestError):
    """There is no such endpoint."""

    code = "no-such-route"


class MethodNotAllowedError(RequestError):
    """The endpoint does not know this method."""

    code = "method-not-allowed"


class InternalError(RequestError):
    """The server has a fault; the log says more."""

    code = "internal"


class UnavailableError(RequestError):
    """The server is starting or stopping."""

    code = "unavailable"
    retryable = True


STATUSES: Mapping[type[errors.SfmError], HTTPStatus] = MappingProxyType(
    {
        errors.InvalidCoordinateError: HTTPStatus.BAD_REQUEST,
        errors.InvalidPositionError: HTTPStatus.BAD_REQUEST,
        errors.InvalidCursorError: HTTPStatus.BAD_REQUEST,
        MalformedBodyError: HTTPStatus.BAD_REQUEST,
        UnauthorizedError: HTTPStatus.UNAUTHORIZED,
        ForbiddenError: HTTPStatus.FORBIDDEN,
        ForeignOriginError: HTTPStatus.FORBIDDEN,
        ForbiddenPathError: HTTPStatus.FORBIDDEN,
        errors.NotFoundError: HTTPStatus.NOT_FOUND,
        NoSuchRouteError: HTTPStatus.NOT_FOUND,
        MethodNotAllowedError: HTTPStatus.METHOD_NOT_ALLOWED,
        RequestTimeoutError: HTTPStatus.REQUEST_TIMEOUT,
        errors.VersionConflictError: HTTPStatus.CONFLICT,
        errors.EventsOffError: HTTPStatus.CONFLICT,
        errors.EventsGoneError: HTTPStatus.GONE,
        errors.HistoryGoneError: HTTPStatus.GONE,
        errors.KeyDestroyedError: HTTPStatus.GONE,
        errors.PreconditionFailedError: HTTPStatus.PRECONDITION_FAILED,
        BodyTooLargeError: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        UnsupportedMediaTypeError: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        errors.InvalidInputError: HTTPStatus.UNPROCESSABLE_ENTITY,
        TooManyRequestsError: HTTPStatus.TOO_MANY_REQUESTS,
        HeadTooLargeError: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
        errors.IdempotencyKeyReusedError: HTTPStatus.UNPROCESSABLE_ENTITY,
        InvalidRequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
        errors.BackendUnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.ReadOnlyStorageError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.EncryptionKeyError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.ClosedError: HTTPStatus.SERVICE_UNAVAILABLE,
        OverloadedError: HTTPStatus.SERVICE_UNAVAILABLE,
        UnavailableError: HTTPStatus.SERVICE_UNAVAILABLE,
        errors.StorageFullError: HTTPStatus.INSUFFICIENT_STORAGE,
        errors.UnsupportedError: HTTPStatus.NOT_IMPLEMENTED,
        errors.SfmError: HTTPStatus.INTERNAL_SERVER_ERROR,
    }
)
"""Status of each error; a class that is not here has that of its nearest base."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldProblem:
    """One fault of a request that does not fit the OpenAPI document."""

    field: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Body of every error.

    Attributes:
        type: `urn:sfm:error:` + the stable code.
        title: What kind of error it is, in words.
        status: The HTTP status.
        detail: What happened.
        instance: Path of the request.
        retryable: Whether the same request can succeed later.
        remedy: What to do about it; left out where there is nothing.
        field: Which part of the request is at fault, or null.
        backend: Scheme of the backend that failed, or null.
        expected_version: The version that the request named, or null.
        actual_version: The version that there is, or null.
        errors: Every fault of a request that does not fit the OpenAPI document, or
            the first 1,000 lines of an import that are not acceptable.
    """

    type: str
    title: str
    status: int
    detail: str
    instance: str
    retryable: bool = False
    remedy: str = ""
    field: str | None = None
    backend: str | None = None
    expected_version: int | None = None
    actual_version: int | None = None
    errors: Sequence[FieldProblem] | None = None


def status_of(error: type[errors.SfmError]) -> HTTPStatus:
    """Return the HTTP status of a class of errors."""
    for base in error.__mro__:
        if base in STATUSES:
            return STATUSES[base]
    return HTTPStatus.INTERNAL_SERVER_ERROR


def title_of(error: type[errors.SfmError]) -> str:
    """Return a class of errors in words, such as "Version conflict"."""
    return error.code.replace("-", " ").capitalize()


def problem_of(
    error: errors.SfmError,
    instance: str,
    *,
    faults: Sequence[FieldProblem] | None = None,
    detail: str | None = None,
) -> Problem:
    """Describe an error.

    Args:
        error: What was raised.
        instance: Path of the request.
        faults: Every fault of the request, where there can be several.
        detail: What to say instead of the error's own words, remedy included.

    Returns:
        The body of the answer.
    """
    conflict = error if isinstance(error, errors.VersionConflictError) else None
    if isinstance(error, ImportRefusedError) and error.lines:
        faults = [
            FieldProblem(field=f"line {one.line}", message=one.message) for one in error.lines
        ]
    return Problem(
        type=f"{TYPE_PREFIX}{error.code}",
        title=title_of(type(error)),
        status=status_of(type(error)).value,
        detail=error.message if detail is None else detail,
        instance=instance,
        retryable=error.retryable,
        remedy=error.remedy if detail is None else "",
        field=_field(error, faults),
        backend=error.backend if isinstance(error, errors.BackendError) else None,
        expected_version=None if conflict is None else conflict.expected,
        actual_version=None if conflict is None else conflict.actual,
        errors=faults,
    )


def problem_response(
    error: errors.SfmError,
    instance: str,
    *,
    faults: Sequence[FieldProblem] | None = None,
    detail: str | None = None,
) -> Response:
    """Return the answer to a request that failed.

    Args:
        error: What was raised.
        instance: Path of the request.
        faults: Every fault of the request, where there can be several.
        detail: What to say instead of the error's own words, remedy included.

    Returns:
        The answer, with the headers that its status asks for.
    """
    problem = problem_of(error, instance, faults=faults, detail=detail)
    return Response(
        encode_problem(problem),
        status_code=problem.status,
        media_type=PROBLEM_JSON,
        headers=_headers(error),
    )


def encode_problem(problem: Problem) -> bytes:
    """Encode a problem, without the members that are null, and without an empty remedy."""
    members = {
        key: value for key, value in msgspec.to_builtins(problem).items() if value is not None
    }
    if not problem.remedy:
        del members["remedy"]
    return msgspec.json.encode(members)


def all_errors() -> list[type[errors.SfmError]]:
    """Return every class of errors that this project raises and that has a code of its own."""
    found: list[type[errors.SfmError]] = []
    pending: list[type[errors.SfmError]] = [errors.SfmError]
    while pending:
        current = pending.pop()
        if current.__module__ in {errors.__name__, __name__}:
            found.append(current)
            pending.extend(current.__subclasses__())
    return sorted(found, key=lambda one: (one.code, one.__name__))


def _field(error: errors.SfmError, faults: Sequence[FieldProblem] | None) -> str | None:
    if faults:
        return faults[0].field
    if isinstance(error, errors.InvalidInputError):
        return error.field.encode(errors="replace").decode()
    return None


def _headers(error: errors.SfmError) -> dict[str, str]:
    if isinstance(error, UnauthorizedError):
        return {"WWW-Authenticate": error.challenge}
    if isinstance(error, ForbiddenError):
        return {"WWW-Authenticate": 'Bearer error="insufficient_scope"'}
    if isinstance(error, TooManyRequestsError):
        return {"Retry-After": str(error.wait_seconds)}
    if isinstance(error, BodyTooLargeError):
        # The rest of the body is never read, so the connection cannot be used again.
        return {"Connection": "close"}
    if error.retryable:
        return {"Retry-After": "1"}
    return {}
