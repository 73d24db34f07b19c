"""What makes spans, as those see it who have them made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from types import TracebackType
from typing import Protocol

from sfm_core.model.trace import TraceContext


class RequestSpan(Protocol):
    """The span of one request; entered while it is answered.

    Attributes:
        trace_id: The trace that it belongs to, in hex; "" where nothing is recorded.
    """

    trace_id: str

    def __enter__(self) -> object:
        """Begin."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        """End."""
        ...

    def answered(self, route: str, status: int) -> None:
        """Note what the request has turned out to be."""
        ...


class Tracing(Protocol):
    """Makes spans; there only while somebody takes them."""

    def here(self) -> TraceContext | None:
        """Return where the caller is; `None` where nothing is recorded."""
        ...

    def request(self, method: str, headers: Mapping[bytes, bytes]) -> RequestSpan:
        """Return the span of a request, which goes on with the trace that its headers name."""
        ...

    def inside(self, name: str, **facts: str) -> AbstractContextManager[object] | None:
        """Return a span inside the one that the caller is in; `None` where nothing is recorded."""
        ...

    def following(
        self, name: str, origins: Sequence[TraceContext | None]
    ) -> AbstractContextManager[object] | None:
        """Return a span of work that was asked for elsewhere; `None` where nothing is recorded."""
        ...
