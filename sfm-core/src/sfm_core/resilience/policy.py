"""How patient the engine is with a backend."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sfm_core.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """How long to wait for a backend, how often to ask again and when to leave it alone.

    Attributes:
        deadline: Longest that one call may take, repetitions and pauses included.
        setup_deadline: The same for a call that makes a collection, since a busy disk
            may take long over each of its indexes.
        attempts: How often a call whose repetition is safe is tried; 1 never repeats.
        backoff: Longest pause before the first repetition; it doubles with each.
            The real pause is drawn evenly from zero to that, so that callers
            who failed together do not return together.
        backoff_limit: What the longest pause never grows beyond.
        failures_to_open: Failures in a row after which the backend is left alone.
        open_for: For how long it is left alone before one call may try it again.

    Raises:
        ConfigurationError: A value is not above zero.
    """

    deadline: timedelta = timedelta(seconds=10)
    setup_deadline: timedelta = timedelta(minutes=2)
    attempts: int = 3
    backoff: timedelta = timedelta(milliseconds=50)
    backoff_limit: timedelta = timedelta(seconds=2)
    failures_to_open: int = 5
    open_for: timedelta = timedelta(seconds=5)

    def __post_init__(self) -> None:
        for name in ("deadline", "setup_deadline", "backoff", "backoff_limit", "open_for"):
            if getattr(self, name) <= timedelta(0):
                raise _not_positive(name)
        for name in ("attempts", "failures_to_open"):
            if getattr(self, name) < 1:
                raise _not_positive(name)


def _not_positive(name: str) -> ConfigurationError:
    return ConfigurationError(
        f"{name} of a resilience policy is not above zero.",
        setting=name,
        remedy="Use a positive value; one attempt means that nothing is repeated.",
    )
