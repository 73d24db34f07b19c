"""The figures of an engine, for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import SfmError
from sfm_core.model.report import Lag

_PATIENCE: Final = timedelta(seconds=2)


class EngineFigures(Collector):
    """Tells how an engine did when it was last asked; figures that nobody knows are left out."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._lag: Lag | None = None

    async def look(self, engine: MemoryEngine) -> None:
        """Ask an engine how it does."""
        try:
            async with asyncio.timeout(_PATIENCE.total_seconds()):
                self.note(await engine.lag())
        except (TimeoutError, SfmError):
            # That the truth does not answer is for /health to say.
            self.note(None)

    def note(self, lag: Lag | None) -> None:
        """Know how far what follows the truth is behind it; `None` where that is not known."""
        self._lag = lag

    def collect(self) -> Iterator[Metric]:
        """Return all figures."""
        if self._lag is not None:
            yield from _lag(self._lag)


def _lag(lag: Lag) -> Iterator[Metric]:
    yield GaugeMetricFamily(
        "sfm_outbox_depth", "Keys that derived stores still have to follow.", lag.outbox_depth
    )
    yield GaugeMetricFamily(
        "sfm_outbox_oldest_seconds",
        "For how long the oldest of these keys has waited.",
        _age(lag.outbox_oldest_at),
    )
    if lag.events is None:
        return
    yield GaugeMetricFamily(
        "sfm_events_unpublished",
        "Events that the sink has not acknowledged, counted up to 10,000.",
        lag.events.count,
    )
    yield GaugeMetricFamily(
        "sfm_events_unpublished_oldest_seconds",
        "For how long the oldest of these events has waited.",
        _age(lag.events.oldest_at),
    )


def _age(since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (datetime.now(UTC) - since).total_seconds())
