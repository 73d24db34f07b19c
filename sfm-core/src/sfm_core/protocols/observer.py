"""What the engine tells of its work to whoever measures and traces it.

The engine knows no metrics and no tracing library. It says when something begins
and ends, what was done for whom, and how often something was met; an observer
makes figures and spans of it. Nothing is told of what memories say.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from typing import Final, Protocol

from sfm_core.model.trace import TraceContext


class Figure(StrEnum):
    """What is counted as it happens.

    Attributes:
        CACHE_HITS: Copies that the cache had.
        CACHE_MISSES: Copies that the cache was asked for and did not have.
        EVENTS_PUBLISHED: Events that the sink has acknowledged.
        PUBLISH_FAILURES: Times that events could not be published.
        RECALL_ORPHANS: Points without a memory that a recall met.
        RECALL_STALE: Points of another version than their memory's that a recall met.
        CHECK_MISSING: Memories and links that a check found nothing of in derived stores.
        CHECK_ORPHANS: Points and edges without a memory or link that a check found.
        CHECK_STALE: Points of another version than their memory's that a check found.
    """

    CACHE_HITS = "cache-hits"
    CACHE_MISSES = "cache-misses"
    EVENTS_PUBLISHED = "events-published"
    PUBLISH_FAILURES = "publish-failures"
    RECALL_ORPHANS = "recall-orphans"
    RECALL_STALE = "recall-stale"
    CHECK_MISSING = "check-missing"
    CHECK_ORPHANS = "check-orphans"
    CHECK_STALE = "check-stale"


class Observer(Protocol):
    """Is told what happens. It never raises, never waits, and holds nothing up.

    What is entered is left in the same task, with the exception that ended it.
    """

    def here(self) -> TraceContext | None:
        """Return where in a trace the caller is; `None` where nothing is recorded."""
        ...

    def operation(self, name: str) -> AbstractContextManager[object]:
        """Enclose one operation of the engine, the method `name`."""
        ...

    def call(self, port: str, scheme: str, method: str) -> AbstractContextManager[object]:
        """Enclose one call of a port, repetitions included.

        Args:
            port: The port.
            scheme: Scheme of the backend.
            method: Its method.
        """
        ...

    def group(
        self, name: str, origins: Sequence[TraceContext | None]
    ) -> AbstractContextManager[object]:
        """Enclose work that is done at once for several callers.

        Args:
            name: What is done: `commit`, `index`, `finish`, `recall`, `publish` or `consume`.
            origins: For each piece of work where in a trace it was asked for.
        """
        ...

    def count(self, figure: Figure, amount: int) -> None:
        """Note that something has happened so often since it was noted last."""
        ...


class _Unobserved:
    """Nobody looks."""

    def here(self) -> TraceContext | None:
        """Return that nothing is recorded."""
        return None

    def operation(self, name: str) -> AbstractContextManager[object]:
        """Do nothing."""
        del name
        return _NOTHING

    def call(self, port: str, scheme: str, method: str) -> AbstractContextManager[object]:
        """Do nothing."""
        del port, scheme, method
        return _NOTHING

    def group(
        self, name: str, origins: Sequence[TraceContext | None]
    ) -> AbstractContextManager[object]:
        """Do nothing."""
        del name, origins
        return _NOTHING

    def count(self, figure: Figure, amount: int) -> None:
        """Do nothing."""


_NOTHING: Final = nullcontext()

UNOBSERVED: Final[Observer] = _Unobserved()
"""What is used where nobody has asked to observe."""
