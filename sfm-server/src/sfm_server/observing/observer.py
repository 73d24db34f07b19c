"""What the engine tells of its work, made into figures and, where someone looks, into spans."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType

from sfm_core.errors import SfmError
from sfm_core.model.trace import TraceContext
from sfm_core.protocols.observer import Figure
from sfm_server.observing.ids import REQUEST_ID, TRACE_ID
from sfm_server.observing.spans import Tracing
from sfm_server.observing.work import WorkFigures


class ServerObserver:
    """Observes the engine for figures and traces; see `Observer`.

    Attributes:
        tracing: Makes spans; `None` while nobody takes them, and then nothing is
            done for them.
    """

    def __init__(self, figures: WorkFigures) -> None:
        """Count in `figures`."""
        self._figures = figures
        self.tracing: Tracing | None = None

    def here(self) -> TraceContext | None:
        """Return where in a trace the caller is."""
        return None if self.tracing is None else self.tracing.here()

    def operation(self, name: str) -> AbstractContextManager[object]:
        """Time an operation, and make a span of it."""
        span = None if self.tracing is None else self.tracing.inside(f"memory.{name}")
        figures = self._figures
        return _Watch(
            figures.operation(name).observe, lambda code: figures.operation_failed(name, code), span
        )

    def call(self, port: str, scheme: str, method: str) -> AbstractContextManager[object]:
        """Time a call of a port, and make a span of it."""
        span = None
        if self.tracing is not None:
            span = self.tracing.inside(
                f"{port}.{method}", **{"sfm.port": port, "sfm.backend": scheme}
            )
        figures = self._figures
        return _Watch(
            figures.port(port, method).observe,
            lambda code: figures.port_failed(port, method, code),
            span,
        )

    def group(
        self, name: str, origins: Sequence[TraceContext | None]
    ) -> AbstractContextManager[object]:
        """Note how much is done at once, and make a span of it in the trace of the first."""
        self._figures.batch(name).observe(len(origins))
        span = None if self.tracing is None else self.tracing.following(name, origins)
        return _Group(span or nullcontext(), next(filter(None, origins), None))

    def count(self, figure: Figure, amount: int) -> None:
        """Count what has happened."""
        self._figures.count(figure, amount)


def code_of(error: BaseException) -> str:
    """Return what figures and spans call an error; never what it says."""
    if isinstance(error, SfmError):
        return error.code
    return "cancelled" if isinstance(error, asyncio.CancelledError) else "fault"


class _Watch:
    """Times what it encloses."""

    __slots__ = ("_begun", "_done", "_failed", "_span")

    def __init__(
        self,
        done: Callable[[float], None],
        failed: Callable[[str], None],
        span: AbstractContextManager[object] | None,
    ) -> None:
        self._done = done
        self._failed = failed
        self._span = span
        self._begun = 0.0

    def __enter__(self) -> None:
        if self._span is not None:
            self._span.__enter__()
        self._begun = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._done(time.perf_counter() - self._begun)
        if error is not None:
            self._failed(code_of(error))
        if self._span is not None:
            self._span.__exit__(kind, error, traceback)


class _Group:
    """Takes the lines of the log for nobody's in particular, but for those of a trace."""

    __slots__ = ("_request_id", "_span", "_trace", "_trace_id")

    def __init__(self, span: AbstractContextManager[object], origin: TraceContext | None) -> None:
        self._span = span
        self._trace = "" if origin is None else origin.parent.split("-")[1]

    def __enter__(self) -> None:
        self._request_id = REQUEST_ID.set("")
        self._trace_id = TRACE_ID.set(self._trace)
        self._span.__enter__()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._span.__exit__(kind, error, traceback)
        TRACE_ID.reset(self._trace_id)
        REQUEST_ID.reset(self._request_id)
