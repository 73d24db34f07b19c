"""What is noted of each request: its figures, its span, its line in the log."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sfm_core.model.trace import parse_trace
from sfm_server.access.visit import endpoint_of
from sfm_server.metrics import Metrics
from sfm_server.observing.ids import REQUEST_ID, TRACE_ID
from sfm_server.observing.observer import ServerObserver
from sfm_server.observing.spans import RequestSpan

log = logging.getLogger(__name__)

_HEADER = b"x-request-id"
_WELL_FORMED = re.compile(rb"[A-Za-z0-9][A-Za-z0-9._:/+=@-]{0,127}")
_UPLOADS = frozenset({"/import_memories"})
"""Routes that take a stream; how long they take is up to the client."""
_METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
_PROBES = frozenset({"/healthz", "/metrics", "/readyz"})
"""Routes that are asked every few seconds; they are logged at level debug."""


class RequestRecorder:
    """Notes how each request goes that an application answers."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, observer: ServerObserver) -> None:
        """Note the requests of `app` in `metrics`, and in traces that `observer` makes."""
        self._app = app
        self._metrics = metrics
        self._observer = observer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request and note how it went."""
        tracing = self._observer.tracing
        exchange = _Exchange(self._metrics, scope, send)
        span = None if tracing is None else tracing.request(scope["method"], exchange.headers)
        request_id = REQUEST_ID.set(exchange.id)
        # Also where it is not recorded here: its sender may look for it in the log.
        trace_id = TRACE_ID.set(span.trace_id if span else exchange.trace_id)
        self._metrics.in_flight.inc()
        try:
            await self._answer(span, exchange, scope, receive)
        finally:
            self._metrics.in_flight.dec()
            exchange.end()
            TRACE_ID.reset(trace_id)
            REQUEST_ID.reset(request_id)

    async def _answer(
        self, span: RequestSpan | None, exchange: _Exchange, scope: Scope, receive: Receive
    ) -> None:
        if span is None:
            await self._app(scope, receive, exchange.send)
            return
        with span:
            try:
                await self._app(scope, receive, exchange.send)
            finally:
                span.answered(exchange.route, exchange.status)


class _Exchange:
    """One request and what has been answered to it so far."""

    __slots__ = ("_begun", "_metrics", "_scope", "_send", "_streams", "headers", "id", "status")

    def __init__(self, metrics: Metrics, scope: Scope, send: Send) -> None:
        self._metrics = metrics
        self._scope = scope
        self._send = send
        self._streams = False
        self._begun = time.perf_counter()
        self.headers: Mapping[bytes, bytes] = dict(scope["headers"])
        self.id = _request_id(self.headers.get(_HEADER, b""))
        self.status = 500

    @property
    def method(self) -> str:
        """The method, or "other": a client can make up as many as it likes."""
        method = str(self._scope["method"])
        return method if self.route and method in _METHODS else "other"

    @property
    def trace_id(self) -> str:
        """The trace that the request says it belongs to, or ""."""
        known = parse_trace(self.headers.get(b"traceparent", b"").decode("latin-1"))
        return known.parent.split("-")[1] if known else ""

    @property
    def route(self) -> str:
        """The template of the route, since a label per coordinate would grow for ever."""
        routed = getattr(self._scope.get("route"), "path", "")
        return str(routed or endpoint_of(self._scope))

    async def send(self, message: Message) -> None:
        """Pass a part of the answer on, and note it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = [*message.get("headers", ()), (_HEADER, self.id.encode())]
            message = {**message, "headers": headers}
        elif message.get("more_body") and not self._streams:
            self._streams = True
            self._metrics.streams.labels(self.route).inc()
            self._metrics.first_byte.labels(self.method, self.route).observe(
                time.perf_counter() - self._begun
            )
        await self._send(message)

    def end(self) -> None:
        """Note that the request is over."""
        route, method = self.route, self.method
        seconds = time.perf_counter() - self._begun
        self._metrics.requests.labels(method, route, str(self.status)).inc()
        if self._streams:
            self._metrics.streams.labels(route).dec()
        elif route not in _UPLOADS:
            kind = f"{self.status // 100}xx"
            self._metrics.seconds.labels(method, route, kind).observe(seconds)
        log.log(
            logging.DEBUG if route in _PROBES else logging.INFO,
            "%s %s %d in %.4f s",
            method,
            route or "no route",
            self.status,
            seconds,
            extra={
                "method": method,
                "route": route,
                "status": self.status,
                "duration_seconds": round(seconds, 6),
            },
        )


def _request_id(given: bytes) -> str:
    """Return the id that the client gave, if it is one that may stand in a log, or a new one."""
    return given.decode() if _WELL_FORMED.fullmatch(given) else secrets.token_hex(16)
