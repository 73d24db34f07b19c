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


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
@pytest.mark.parametrize(
    "sent",
    [lambda error: pickle.loads(pickle.dumps(error)), copy.copy],  # noqa: S301 - made right here
    ids=["to another process", "as a copy"],
)
def test_an_error_says_the_same_after_a_journey(
    error: SfmError, sent: Callable[[SfmError], SfmError]
) -> None:
    arrived = sent(error)
    assert type(arrived) is type(error)
    assert (str(arrived), arrived.args, vars(arrived)) == (str(error), error.args, vars(error))
