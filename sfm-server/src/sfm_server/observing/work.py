"""Figures of the engine's work: its operations, the calls of its ports, its batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from sfm_core.protocols.observer import Figure

_SECONDS: Final = (0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0)
_SIZES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


class WorkFigures:
    """Counts and times what the engine tells."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Start all figures at zero in `registry`."""
        operation_seconds = Histogram(
            "sfm_operation_seconds",
            "Time that operations of the engine take.",
            ("operation",),
            buckets=_SECONDS,
            registry=registry,
        )
        port_seconds = Histogram(
            "sfm_port_call_seconds",
            "Time that calls of a port take, repetitions included.",
            ("port", "method"),
            buckets=_SECONDS,
            registry=registry,
        )
        batch_size = Histogram(
            "sfm_batch_size",
            "Pieces of work that are done at once.",
            ("work",),
            buckets=_SIZES,
            registry=registry,
        )
        self._operation_errors = Counter(
            "sfm_operation_errors_total",
            "Operations that ended with an error, by its code.",
            ("operation", "code"),
            registry=registry,
        )
        self._port_errors = Counter(
            "sfm_port_errors_total",
            "Calls of a port that ended with an error, by its code.",
            ("port", "method", "code"),
            registry=registry,
        )
        self.operation: Callable[[str], Histogram] = _Known(operation_seconds.labels).of
        self.port: Callable[[str, str], Histogram] = _Known(port_seconds.labels).of
        self.batch: Callable[[str], Histogram] = _Known(batch_size.labels).of
        self._counters = _counters(registry)

    def operation_failed(self, operation: str, code: str) -> None:
        """Count an operation that ended with an error."""
        self._operation_errors.labels(operation, code).inc()

    def port_failed(self, port: str, method: str, code: str) -> None:
        """Count a call of a port that ended with an error."""
        self._port_errors.labels(port, method, code).inc()

    def count(self, figure: Figure, amount: int) -> None:
        """Count what the engine has met or done."""
        self._counters[figure].inc(amount)


class _Known:
    """Remembers the children of a metric, which the library looks up under a lock."""

    def __init__(self, labels: Callable[..., Histogram]) -> None:
        self._labels = labels
        self._children: dict[tuple[str, ...], Histogram] = {}

    def of(self, *values: str) -> Histogram:
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = self._labels(*values)
        return child


def _counters(registry: CollectorRegistry) -> dict[Figure, Counter]:
    lookups = Counter(
        "sfm_cache_lookups_total",
        "Copies that the cache was asked for.",
        ("result",),
        registry=registry,
    )
    findings = Counter(
        "sfm_derived_findings_total",
        "Points and edges that did not agree with the truth, by who found them.",
        ("by", "kind"),
        registry=registry,
    )
    return {
        Figure.CACHE_HITS: lookups.labels("hit"),
        Figure.CACHE_MISSES: lookups.labels("miss"),
        Figure.EVENTS_PUBLISHED: Counter(
            "sfm_events_published_total",
            "Events that the sink has acknowledged.",
            registry=registry,
        ),
        Figure.PUBLISH_FAILURES: Counter(
            "sfm_events_publish_failures_total",
            "How often events could not be published.",
            registry=registry,
        ),
        Figure.RECALL_ORPHANS: findings.labels("recall", "orphan"),
        Figure.RECALL_STALE: findings.labels("recall", "stale"),
        Figure.CHECK_MISSING: findings.labels("check", "missing"),
        Figure.CHECK_ORPHANS: findings.labels("check", "orphan"),
        Figure.CHECK_STALE: findings.labels("check", "stale"),
    }
