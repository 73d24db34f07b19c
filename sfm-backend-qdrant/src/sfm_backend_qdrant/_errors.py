"""The one place where the errors of Qdrant and its client become those of `sfm_core.errors`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Final, Protocol, cast

import httpx
from grpc import RpcError
from qdrant_client.common.client_exceptions import QdrantException, ResourceExhaustedResponse
from qdrant_client.http.exceptions import (
    ApiException,
    ResponseHandlingException,
    UnexpectedResponse,
)

from sfm_backend_qdrant.settings import API_KEY_OPTION, QdrantSettings
from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    DeadlineExceededError,
    SfmError,
    StorageFullError,
)

# gRPC's names for what HTTP says with a number; the others are the server's own failures.
_STATUSES: Final = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "DEADLINE_EXCEEDED": 504,
    "CANCELLED": 504,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
}
_KEY: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_LATE: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.GATEWAY_TIMEOUT})

# A limit of strict mode is forbidden as a wrong key is, but says what would help.
_STRICT: Final = "help:"
_FULL: Final = ("no space left", "out of disk", "disk usage", "memory usage")


class AlreadyExistsError(Exception):
    """Somebody else made the collection meanwhile. Never leaves this package."""


class RefusedError(BackendError):
    """The server does not take the request as it is; the call had no effect."""


class _Code(Protocol):
    name: str


class _RpcStatus(Protocol):
    def code(self) -> _Code: ...

    def details(self) -> str | None: ...


@contextmanager
def translated(settings: QdrantSettings) -> Generator[None]:
    """Turn what the client raises inside the block into our errors.

    Args:
        settings: What is at work, for the messages.

    Raises:
        SfmError: In place of each error of the client, with that as its cause.
        AlreadyExistsError: A collection of this name is there.
    """
    try:
        yield
    except TimeoutError as error:
        raise _late(settings) from error
    except ResourceExhaustedResponse as error:
        raise _of_exhaustion(error, settings) from error
    except UnexpectedResponse as error:
        text = error.content.decode(errors="replace")
        raise _of_status(error.status_code or 500, text, settings) from error
    except RpcError as error:
        raise _of_rpc(cast("_RpcStatus", error), settings) from error
    except (ResponseHandlingException, httpx.HTTPError, OSError) as error:
        raise _of_transport(error, settings) from error
    except (ApiException, QdrantException) as error:
        raise BackendError(f"{settings.place} failed: {error}.", backend=settings.scheme) from error
    except (ValueError, RuntimeError) as error:
        raise _of_local(error, settings) from error


def _of_exhaustion(error: ResourceExhaustedResponse, settings: QdrantSettings) -> SfmError:
    if any(sign in str(error).lower() for sign in _FULL):
        return _full(str(error), settings)
    return _busy(settings, error.retry_after_s)


def _of_rpc(error: _RpcStatus, settings: QdrantSettings) -> Exception:
    return _of_status(_STATUSES.get(error.code().name, 500), error.details() or "", settings)


def _of_status(status: int, text: str, settings: QdrantSettings) -> Exception:
    lower = text.lower()
    if status == HTTPStatus.CONFLICT or "already exists" in lower:
        return AlreadyExistsError(text)
    if status == HTTPStatus.INSUFFICIENT_STORAGE or any(sign in lower for sign in _FULL):
        return _full(text, settings)
    if status in _KEY and _STRICT not in lower:
        return _refused_key(settings)
    if status in _LATE:
        return _late(settings)
    return _of_request(status, text, settings)


def _of_request(status: int, text: str, settings: QdrantSettings) -> SfmError:
    if status == HTTPStatus.NOT_FOUND:
        return _missing(text, settings)
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _busy(settings)
    if status < HTTPStatus.INTERNAL_SERVER_ERROR:
        what = f"{settings.place} refused a request: {text[:300]}"
        return RefusedError(what, backend=settings.scheme)
    return _unavailable(f"answers {status}: {text[:300]}", settings)


def _of_transport(error: Exception, settings: QdrantSettings) -> SfmError:
    cause = error.source if isinstance(error, ResponseHandlingException) else error
    if isinstance(cause, httpx.TimeoutException):
        return _late(settings)
    if "CERTIFICATE_VERIFY_FAILED" in str(cause):
        return ConfigurationError(
            f"{settings.place} shows a certificate that is not trusted: {cause}.",
            remedy="Name the certificate of its authority with ?ca_file=/path in the URL.",
        )
    if isinstance(cause, httpx.HTTPError | OSError):
        return _unavailable(f"cannot be reached: {cause}", settings)
    return ConfigurationError(
        f"{settings.place} does not answer as Qdrant does: {str(cause)[:300]}",
        remedy="Check host, port and path of the URL.",
    )


def _of_local(error: Exception, settings: QdrantSettings) -> Exception:
    """Read the in-process mode's errors, which are built-in ones with a sentence."""
    text = str(error)
    if settings.local and text.startswith("Collection"):
        if text.endswith("already exists"):
            return AlreadyExistsError(text)
        if text.endswith("not found"):
            return _missing(text, settings)
    if settings.local and "already accessed by another instance" in text:
        return ConfigurationError(
            f"{settings.place} is in use by another process.",
            remedy="Only one process at a time can open it; run a server to share the points.",
        )
    return BackendError(f"{settings.place} failed: {text}.", backend=settings.scheme)


def _full(text: str, settings: QdrantSettings) -> StorageFullError:
    return StorageFullError(
        f"{settings.place} has no room left: {text[:300]}",
        backend=settings.scheme,
        remedy="Free space on its disk, or give it a larger one.",
    )


def _missing(text: str, settings: QdrantSettings) -> ConfigurationError:
    return ConfigurationError(
        f"{settings.place} has no such collection: {text[:300]}", remedy="Call ensure first."
    )


def _refused_key(settings: QdrantSettings) -> ConfigurationError:
    what = "refuses the API key" if settings.api_key else "asks for an API key"
    return ConfigurationError(
        f"{settings.place} {what}.",
        setting=API_KEY_OPTION,
        remedy=f"Set {API_KEY_OPTION} to a key that may read and write.",
    )


def _late(settings: QdrantSettings) -> DeadlineExceededError:
    seconds = settings.timeout.total_seconds()
    return DeadlineExceededError(
        f"{settings.place} did not answer within {seconds:g} s.",
        backend=settings.scheme,
        remedy="Try again, or raise timeout_seconds in its URL.",
    )


def _busy(settings: QdrantSettings, seconds: int = 0) -> BackendUnavailableError:
    when = f"in {seconds} s" if seconds else "later"
    return BackendUnavailableError(
        f"{settings.place} has too many requests to answer.",
        backend=settings.scheme,
        remedy=f"Try again {when}, or raise the rate limit of its strict mode.",
    )


def _unavailable(what: str, settings: QdrantSettings) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"{settings.place} {what}",
        backend=settings.scheme,
        remedy="Check that the server runs, and that the URL is right.",
    )
