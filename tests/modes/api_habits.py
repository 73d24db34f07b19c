"""What made-up requests leave out, so that no answer is late because it was asked to be."""

from __future__ import annotations

from typing import cast

import schemathesis

LONG_MS = 20_000


@schemathesis.hook
def before_call(
    _context: schemathesis.HookContext, case: schemathesis.Case, _kwargs: dict[str, object]
) -> None:
    """Give every request time enough, and let none wait for long."""
    body: object = case.body
    if isinstance(body, dict):
        fields = cast("dict[str, object]", body)
        if isinstance(fields.get("deadline_ms"), int):
            fields["deadline_ms"] = LONG_MS
    query = cast("dict[str, object] | None", case.query)
    if query and "wait_seconds" in query:
        query["wait_seconds"] = 0
