"""Errors tell the same wherever they are told."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable

import pytest

from sfm_core.errors import (
    BackendUnavailableError,
    ConfigurationError,
    InvalidInputError,
    SfmError,
    VersionConflictError,
)

ERRORS = [
    InvalidInputError("top_k is 0.", field="top_k", remedy="Use 1 or more."),
    VersionConflictError("It is at version 3.", expected=2, actual=3),
    ConfigurationError("There is no such mode.", setting="MEMORY_MODE"),
    BackendUnavailableError("It is down.", backend="redis"),
]


def to_another_process(error: SfmError) -> SfmError:
    arrived: SfmError = pickle.loads(pickle.dumps(error))  # noqa: S301 - made right here
    return arrived


def as_a_copy(error: SfmError) -> SfmError:
    return copy.copy(error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: str(error.code))
@pytest.mark.parametrize("sent", [to_another_process, as_a_copy])
def test_an_error_says_the_same_after_a_journey(
    error: SfmError, sent: Callable[[SfmError], SfmError]
) -> None:
    arrived = sent(error)
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.args, vars(arrived)) == (str(error), error.args, vars(error))
