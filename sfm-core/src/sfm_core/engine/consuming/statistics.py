"""What a consumer has done and how it does, for metrics and health."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from sfm_core.errors import SfmError


@dataclass(slots=True, kw_only=True)
class Statistics:
    """The figures of one consumer since it was made.

    Attributes:
        received: Deliveries that came out of the stream.
        handled: Events that each handler has taken in, by its name.
        dead_letters: Deliveries that were set aside, by handler and code.
        retries: Calls that were tried again, by whose they were.
        batches: Batches that were acknowledged.
        batch_seconds: How long those took, altogether.
        delay: How old the newest event of the last batch was when that was done.
        lag: Events that wait on the stream; `None` where that is not known.
        consuming: Whether everything is open.
        troubles: What does not work at present, by whose it is.
    """

    received: int = 0
    handled: Counter[str] = field(default_factory=Counter[str])
    dead_letters: Counter[tuple[str, str]] = field(default_factory=Counter[tuple[str, str]])
    retries: Counter[str] = field(default_factory=Counter[str])
    batches: int = 0
    batch_seconds: float = 0.0
    delay: timedelta | None = None
    lag: int | None = None
    consuming: bool = False
    troubles: dict[str, SfmError] = field(default_factory=dict[str, SfmError])
