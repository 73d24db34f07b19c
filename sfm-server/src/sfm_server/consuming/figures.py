"""The figures of a consumer, for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from sfm_core.engine.consuming.statistics import Statistics


class Figures(Collector):
    """Tells what a consumer has counted, at the moment of asking."""

    def __init__(self, statistics: Statistics) -> None:
        """Tell `statistics`."""
        self._statistics = statistics
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def render(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Return all figures."""
        told = self._statistics
        yield CounterMetricFamily(
            "sfm_consumer_received", "Deliveries that came out of the stream.", told.received
        )
        yield _counter(
            "sfm_consumer_handled",
            "Events that a handler has taken in.",
            (((name,), count) for name, count in told.handled.items()),
            "handler",
        )
        yield _counter(
            "sfm_consumer_dead_letters",
            "Deliveries that were set aside.",
            told.dead_letters.items(),
            "handler",
            "code",
        )
        yield _counter(
            "sfm_consumer_retries",
            "Calls that were tried again.",
            (((name,), count) for name, count in told.retries.items()),
            "of",
        )
        yield SummaryMetricFamily(
            "sfm_consumer_batch_seconds",
            "Time from receiving a batch to its acknowledgement.",
            count_value=told.batches,
            sum_value=told.batch_seconds,
        )
        yield from self._gauges()

    def _gauges(self) -> Iterator[Metric]:
        told = self._statistics
        trouble = GaugeMetricFamily(
            "sfm_consumer_trouble", "What fails at present and is tried again.", labels=["of"]
        )
        for name in told.troubles:
            trouble.add_metric([name], 1)
        yield trouble
        if told.lag is not None:
            yield GaugeMetricFamily("sfm_consumer_lag", "Events that wait.", told.lag)
        if told.delay is not None:
            yield GaugeMetricFamily(
                "sfm_consumer_event_delay_seconds",
                "How old the newest event of the last batch was when that was done.",
                told.delay.total_seconds(),
            )


def _counter(
    name: str, meaning: str, counts: Iterable[tuple[tuple[str, ...], int]], *labels: str
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, meaning, labels=labels)
    for values, count in counts:
        family.add_metric(values, count)
    return family
