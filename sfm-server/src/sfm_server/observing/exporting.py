"""Handing spans to a collector in the background, without a word where there is none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import (
    SERVICE_NAME,
    SERVICE_VERSION,
    OTELResourceDetector,
    Resource,
)
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from sfm_server.observing.tracing import OtelTracing

log = logging.getLogger(__name__)

Outcome = Callable[[int, bool], None]
"""Told how many spans there were, and whether the collector has taken them."""

_EXPORT_SECONDS = 5
_LAST_SECONDS = 0.8
"""How long the end of the process may wait for the last spans to be taken."""


class Exporting:
    """A tracer whose spans go to a collector.

    Attributes:
        tracing: What makes the spans.
    """

    def __init__(self, endpoint: str, version: str, outcome: Outcome) -> None:
        """Begin to hand on spans; nothing is sent before there are some.

        Args:
            endpoint: Base URL of the collector.
            version: Version of this service.
            outcome: Told what becomes of spans, in a thread of its own.
        """
        exporter = OTLPSpanExporter(
            endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_EXPORT_SECONDS
        )
        named = Resource({SERVICE_NAME: "somafractalmemory", SERVICE_VERSION: version})
        self._provider = TracerProvider(
            resource=named.merge(OTELResourceDetector().detect()), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(_Quiet(exporter, outcome)))
        self.tracing = OtelTracing(self._provider.get_tracer("sfm_server", version))

    def close(self) -> None:
        """Hand on the last spans, if the collector takes them soon; call it in a thread."""
        # The library waits for a collector that does not answer much longer than a stop may take.
        last = threading.Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(_LAST_SECONDS)


class _Quiet(SpanExporter):
    """Tells of what is not taken as a figure."""

    def __init__(self, inner: SpanExporter, outcome: Outcome) -> None:
        self._inner = inner
        self._outcome = outcome

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._inner.export(spans)
        except Exception as error:  # noqa: BLE001 - whatever keeps spans from going is no fault of the service
            log.debug("spans are dropped: %s", error)
            result = SpanExportResult.FAILURE
        self._outcome(len(spans), result is SpanExportResult.SUCCESS)
        return result

    def shutdown(self) -> None:
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)
