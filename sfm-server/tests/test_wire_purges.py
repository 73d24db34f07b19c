"""A report on several purges says nothing is gone that one of them still waits for."""

from __future__ import annotations

from datetime import UTC, datetime

from sfm_server.schemas.purges import PurgedAnswer, StorePurgeAnswer
from sfm_server.wire_purges import together

AT = datetime(2026, 1, 1, tzinfo=UTC)


def part(**states: str) -> PurgedAnswer:
    rows = [
        StorePurgeAnswer(store=store, backend="b", state=state, detail="")  # type: ignore[arg-type]
        for store, state in states.items()
    ]
    pending = "pending" in states.values()
    return PurgedAnswer(deleted=1, position="p", pending=pending, again_at=AT, stores=rows)


def told(*parts: PurgedAnswer) -> dict[str, str]:
    return {row.store: row.state for row in together(parts).stores}


def test_the_least_far_of_each_store_counts() -> None:
    first, last = part(truth="removed", vectors="pending"), part(truth="remains", vectors="removed")
    assert told(first, last) == {"truth": "remains", "vectors": "pending"}


def test_a_part_that_purged_nothing_takes_nothing_from_the_report() -> None:
    assert told(part(truth="removed"), part()) == {"truth": "removed"}
