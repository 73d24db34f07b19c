"""Spans of OpenTelemetry.

Loaded only when a collector has been found, since the libraries take their time.
A span says what was done, where and how it ended; never what was stored or asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Self

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from sfm_core.model.trace import TraceContext, parse_trace
from sfm_server.observing.observer import code_of

_MAX_LINKS = 32
_SERVER_ERRORS = 500
_propagator = TraceContextTextMapPropagator()
_NOWHERE = Context()


class OtelTracing:
    """Makes spans with a tracer; see `Tracing`."""

    def __init__(self, tracer: Tracer) -> None:
        """Make them with `tracer`."""
        self._tracer = tracer

    def here(self) -> TraceContext | None:
        """Return where the caller is; `None` where nothing is recorded."""
        if not trace.get_current_span().is_recording():
            return None
        carrier: dict[str, str] = {}
        _propagator.inject(carrier)
        return parse_trace(carrier.get("traceparent"), carrier.get("tracestate", ""))

    def request(self, method: str, headers: Mapping[bytes, bytes]) -> _Entered:
        """Begin the span of a request, in the trace that its headers name."""
        parent, state = (
            headers.get(name, b"").decode("latin-1") for name in (b"traceparent", b"tracestate")
        )
        known = parse_trace(parent, state)
        return self._entered(
            method, _NOWHERE if known is None else _context(known), SpanKind.SERVER
        )

    def inside(self, name: str, **facts: str) -> _Entered | None:
        """Begin a span inside the one that the caller is in."""
        if not trace.get_current_span().is_recording():
            return None
        return self._entered(name, None, SpanKind.INTERNAL, facts)

    def following(
        self, name: str, origins: Sequence[TraceContext | None]
    ) -> AbstractContextManager[object] | None:
        """Begin a span of work for several; it belongs to the first, and names the others."""
        asked = list(dict.fromkeys(filter(None, origins)))
        if not asked:
            # The task may go on from the request that has started it.
            return _Elsewhere() if trace.get_current_span().is_recording() else None
        links = [
            Link(trace.get_current_span(_context(other)).get_span_context())
            for other in asked[1:_MAX_LINKS]
        ]
        facts = {"sfm.batch.size": len(origins)}
        kind = _KINDS.get(name, SpanKind.INTERNAL)
        return self._entered(f"memory.{name}", _context(asked[0]), kind, facts, links)

    def _entered(
        self,
        name: str,
        parent: Context | None,
        kind: SpanKind,
        facts: Mapping[str, str | int] | None = None,
        links: Sequence[Link] = (),
    ) -> _Entered:
        return _Entered(
            self._tracer.start_span(name, parent, kind=kind, attributes=facts, links=links)
        )


_KINDS = {"publish": SpanKind.PRODUCER, "consume": SpanKind.CONSUMER}


class _Entered:
    """A span that is the current one while it is entered."""

    __slots__ = ("_span", "_token", "trace_id")

    def __init__(self, span: Span) -> None:
        self._span = span
        place = span.get_span_context()
        self.trace_id = f"{place.trace_id:032x}" if place.is_valid else ""

    def __enter__(self) -> Self:
        self._token = otel_context.attach(trace.set_span_in_context(self._span))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        otel_context.detach(self._token)
        if error is not None and self._span.is_recording():
            # Not the error's message, which may say what was asked or stored.
            self._span.set_attribute("error.type", code_of(error))
            self._span.set_status(StatusCode.ERROR)
        self._span.end()

    def answered(self, route: str, status: int) -> None:
        """Note what a request has turned out to be."""
        span = self._span
        if not span.is_recording():
            return
        if route:
            # The template: the path itself may hold coordinates.
            span.update_name(f"{getattr(span, 'name', '')} {route}".strip())
            span.set_attribute("http.route", route)
        span.set_attribute("http.response.status_code", status)
        if status >= _SERVER_ERRORS:
            span.set_status(StatusCode.ERROR)


class _Elsewhere:
    """Leaves every trace while it is entered."""

    __slots__ = ("_token",)

    def __enter__(self) -> None:
        self._token = otel_context.attach(_NOWHERE)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        otel_context.detach(self._token)


def _context(place: TraceContext) -> Context:
    carrier = {"traceparent": place.parent, "tracestate": place.state}
    return _propagator.extract(carrier, _NOWHERE)
