"""How long clients are waited for."""

from __future__ import annotations

from dataclasses import dataclass

from sfm_server.limiting.settings import LimitSettings

PATIENCE = "sfm.patience"
"""Where the state of the lifespan tells it to connections."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long clients are waited for.

    Attributes:
        connections: Most connections at once.
        head_seconds: Longest that a head takes to arrive.
        body_seconds: Longest that a body stands still, or comes at less than 1000 bytes a second.
        reader_seconds: Longest that a client takes nothing of its answer.
    """

    connections: int = 2000
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    reader_seconds: float = 60.0

    @classmethod
    def of(cls, settings: LimitSettings) -> Patience:
        """Return what the settings say."""
        return cls(
            connections=settings.max_connections,
            head_seconds=settings.head_seconds,
            body_seconds=settings.body_seconds,
            reader_seconds=settings.slow_reader_seconds,
        )
