"""The figures of one application, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from sfm_server.engine_figures import EngineFigures
from sfm_server.observing.processes import collect_all, folder_of_figures
from sfm_server.observing.work import WorkFigures

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Figures of requests and of the engine; those of all workers where there are several.

    Attributes:
        figures: Those that this process counts.
    """

    def __init__(self) -> None:
        """Start all figures at zero."""
        self._folder = folder_of_figures()
        self.figures = CollectorRegistry()
        self.requests = Counter(
            "sfm_http_requests_total",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self.figures,
        )
        self.seconds = Histogram(
            "sfm_http_request_seconds",
            "Time from a request's head to the end of its answer, streams left out.",
            ("method", "route", "status_class"),
            buckets=_BUCKETS,
            registry=self.figures,
        )
        self.first_byte = Histogram(
            "sfm_http_stream_first_byte_seconds",
            "Time from a request's head to the first part of an answer that is a stream.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self.figures,
        )
        self.in_flight = Gauge(
            "sfm_http_requests_in_flight",
            "Requests that are being answered.",
            registry=self.figures,
            multiprocess_mode="livesum",
        )
        self.streams = Gauge(
            "sfm_http_streams_open",
            "Answers that are being streamed.",
            ("route",),
            registry=self.figures,
            multiprocess_mode="livesum",
        )
        self.spans = Counter(
            "sfm_trace_spans_total",
            "Spans that the collector has taken, and those that were dropped because it did not.",
            ("outcome",),
            registry=self.figures,
        )
        self.work = WorkFigures(self.figures)
        self.engine = EngineFigures()

    def render(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        shown = CollectorRegistry()
        if self._folder is None:
            shown.register(self.figures)
        else:
            collect_all(self._folder, shown)
        shown.register(self.engine)
        return generate_latest(shown)
