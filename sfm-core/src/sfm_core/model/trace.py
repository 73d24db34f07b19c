"""Where in a trace something happened, in the words of W3C Trace Context."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
_STATE = re.compile(r"[\x20-\x7e]{1,512}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceContext:
    """A place in a trace that what comes of it can be tied to.

    Attributes:
        parent: The `traceparent`: version, trace, span and flags.
        state: The `tracestate`, or "".
    """

    parent: str
    state: str = ""


def parse_trace(parent: object, state: object = "") -> TraceContext | None:
    """Read a place in a trace that somebody else has written.

    Args:
        parent: What should be a `traceparent`.
        state: What should be a `tracestate`; one that is malformed is left out.

    Returns:
        The place; `None` where `parent` is none.
    """
    if not isinstance(parent, str) or not _PARENT.fullmatch(parent):
        return None
    known = isinstance(state, str) and _STATE.fullmatch(state)
    return TraceContext(parent=parent, state=state if known and isinstance(state, str) else "")
