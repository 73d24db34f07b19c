"""What made-up requests leave out, so that no answer is late because it was asked to be."""

# The library's types are only partly known.
# pyright: reportUnknownMemberType=false, reportUntypedFunctionDecorator=false

from __future__ import annotations

from typing import Protocol, cast

import schemathesis

LONG_MS = 20_000


class Case(Protocol):
    """What is used here of a made-up request."""

    body: object
    query: dict[str, object] | None


@schemathesis.hook
def before_call(_context: object, case: Case, _kwargs: dict[str, object]) -> None:
    """Give every request time enough, and let none wait for long."""
    if isinstance(case.body, dict):
        fields = cast("dict[str, object]", case.body)
        if isinstance(fields.get("deadline_ms"), int):
            fields["deadline_ms"] = LONG_MS
    if case.query and "wait_seconds" in case.query:
        case.query["wait_seconds"] = 0
