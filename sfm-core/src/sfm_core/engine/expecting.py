"""What callers expect of a memory, and what they are told where it is otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sfm_core.engine.truth import MemoryState
from sfm_core.engine.writer import Outcome
from sfm_core.errors import (
    IdempotencyKeyReusedError,
    NotFoundError,
    PreconditionFailedError,
    VersionConflictError,
)
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.precondition import Precondition


def expect_version(
    coordinate: Coordinate, expected: int | None, state: MemoryState, now: datetime
) -> None:
    """Check the version that a caller expects.

    Args:
        coordinate: The memory, for the error.
        expected: What the caller expects; 0 is "absent", `None` is "whatever".
        state: What the truth says.
        now: The time, since an expired memory is absent.

    Raises:
        VersionConflictError: The memory is at another version.
    """
    alive = state.record is not None and state.record.alive(now)
    actual = state.version if alive else 0
    if expected is not None and expected != actual:
        raise VersionConflictError(
            f"The memory at {coordinate} is at version {actual}, not {expected}.",
            expected=expected,
            actual=actual,
            remedy="Read it again and decide anew.",
        )


def expect_revision(
    coordinate: Coordinate, precondition: Precondition | None, state: MemoryState, now: datetime
) -> None:
    """Check what a caller demands of the revision of a memory.

    Args:
        coordinate: The memory, for the error.
        precondition: What is demanded, if anything is.
        state: What the truth says.
        now: The time, since an expired memory is absent.

    Raises:
        PreconditionFailedError: The memory is not at such a revision.
    """
    alive = state.record is not None and state.record.alive(now)
    revision = state.record.revision(state.version) if state.record and alive else ""
    if precondition is not None and not precondition.holds(revision):
        raise PreconditionFailedError(
            f"The memory at {coordinate} is at revision {revision}, which was not demanded."
            if revision
            else f"There is no memory at {coordinate}.",
            remedy="Read it again and decide anew.",
        )


def refuse_reuse(results: Sequence[Outcome | BaseException]) -> None:
    """Raise what refuses a bulk write as a whole.

    Args:
        results: What became of its items.

    Raises:
        IdempotencyKeyReusedError: Its idempotency key was given to another write.
    """
    for result in results:
        if isinstance(result, IdempotencyKeyReusedError):
            raise result


def not_found(coordinate: Coordinate) -> NotFoundError:
    """Return the error for a memory that is not there."""
    return NotFoundError(
        f"There is no memory at {coordinate}.",
        remedy="Check namespace and coordinate; it may have been deleted or have expired.",
    )
