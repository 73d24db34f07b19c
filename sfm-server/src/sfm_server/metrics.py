"""Counts and times requests, for Prometheus."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sfm_server.engine_figures import EngineFigures

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The figures of one application."""

    def __init__(self) -> None:
        """Start all figures at zero."""
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "sfm_http_requests_total",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self.seconds = Histogram(
            "sfm_http_request_seconds",
            "Time from a request's head to the end of its answer.",
            ("method", "route"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.in_flight = Gauge(
            "sfm_http_requests_in_flight",
            "Requests that are being answered.",
            registry=self._registry,
        )
        self.engine = EngineFigures()
        self._registry.register(self.engine)

    def render(self) -> bytes:
        """Return all figures in the text format of Prometheus."""
        return generate_latest(self._registry)


class MetricsRecorder:
    """Records each request that passes through."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        """Record the requests of `app` in `metrics`."""
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and record how it went."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        begun = time.perf_counter()

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        self._metrics.in_flight.inc()
        try:
            await self._app(scope, receive, note_status)
        finally:
            self._metrics.in_flight.dec()
            route = _route(scope)
            method = scope["method"] if route else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(method, route).observe(time.perf_counter() - begun)


def _route(scope: Scope) -> str:
    """Return the template of the route, since a label per coordinate would grow for ever."""
    return str(getattr(scope.get("route"), "path", ""))
