"""The one place where what goes wrong with a worker becomes an error of `sfm_core.errors`."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from sfm_backend_qdrant._errors import AlreadyExistsError
from sfm_backend_qdrant.edge.errors import WorkerDiedError, WorkerRefusedError
from sfm_backend_qdrant.edge.messages import Problem
from sfm_backend_qdrant.settings import QdrantSettings
from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    ConfigurationError,
    CorruptDataError,
    DeadlineExceededError,
    ReadOnlyStorageError,
    SfmError,
    StorageFullError,
)

_FAILURES: Final[Mapping[str, tuple[type[BackendError], str, str]]] = {
    "full": (
        StorageFullError,
        "has no room left",
        "Free space on its disk, or move the data folder to a larger one.",
    ),
    "read-only": (
        ReadOnlyStorageError,
        "may not be written to",
        "Give this user the right to write there, or choose another folder.",
    ),
    "corrupt": (
        CorruptDataError,
        "cannot be read",
        "Remove the folder and run `sfm rebuild`, which makes it anew from the memories.",
    ),
    "failed": (BackendError, "failed", ""),
}


@contextmanager
def translated(settings: QdrantSettings, limit: timedelta | None = None) -> Generator[None]:
    """Turn what goes wrong with a worker inside the block into our errors.

    Args:
        settings: What is at work, for the messages.
        limit: How long it is waited for; `None` is as long as for any answer.

    Raises:
        SfmError: What the worker says, in our words.
        DeadlineExceededError: It did not answer in time.
        BackendUnavailableError: It died, or cannot be started.
        AlreadyExistsError: A collection of this name is there.
    """
    place, scheme = settings.place, settings.scheme
    try:
        yield
    except TimeoutError as error:
        seconds = (limit or settings.timeout).total_seconds()
        raise DeadlineExceededError(
            f"{place} did not answer within {seconds:g} s.",
            backend=scheme,
            remedy="Try again, or raise timeout_seconds in its URL.",
        ) from error
    except WorkerRefusedError as error:
        raise _said(error.problem, settings) from error
    except WorkerDiedError as error:
        raise BackendUnavailableError(
            f"The worker process of {place} {error}.",
            backend=scheme,
            remedy="It is started again at the next call; its last words are on stderr.",
        ) from error
    except OSError as error:
        raise BackendUnavailableError(
            f"The worker process of {place} cannot be started: {error}.", backend=scheme
        ) from error


def _said(problem: Problem, settings: QdrantSettings) -> SfmError | AlreadyExistsError:
    match problem.kind:
        case "exists":
            return AlreadyExistsError(problem.text)
        case "missing":
            return ConfigurationError(
                f"{settings.place} has no collection {problem.text!r}.",
                remedy="Call ensure first.",
            )
        case "held":
            return ConfigurationError(
                f"{settings.place} is in use by another process.",
                setting="SFM_VECTOR_URL",
                remedy="Only one process at a time can have it: end the other one, give each "
                "a folder of its own, or run a server to share the points.",
            )
        case _:
            kind, what, remedy = _FAILURES.get(problem.kind, _FAILURES["failed"])
            said = f"{settings.place} {what}: {problem.text}"
            return kind(said, backend=settings.scheme, remedy=remedy)
