"""What the lines of a log are tied together by."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

REQUEST_ID: Final[ContextVar[str]] = ContextVar("sfm_request_id", default="")
"""The request that is being answered, or ""."""

TRACE_ID: Final[ContextVar[str]] = ContextVar("sfm_trace_id", default="")
"""The trace that the work belongs to, in hex, or ""."""
