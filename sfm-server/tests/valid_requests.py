"""For each endpoint, a request that it takes."""

from __future__ import annotations

BODIES: dict[tuple[str, str], dict[str, object]] = {
    ("POST", "/store"): {"coord": "1", "payload": {}},
    ("POST", "/remember"): {"payload": {}},
    ("POST", "/store_bulk"): {"items": [{"coord": "1", "payload": {}}]},
    ("POST", "/recall"): {"query": "what"},
    ("POST", "/recall_batch"): {"queries": ["what"]},
    ("POST", "/recall_with_scores"): {"query": "what"},
    ("POST", "/recall_with_context"): {"query": "what", "context": "now"},
    ("PATCH", "/memories/{coord}"): {"importance": 1},
    ("PUT", "/memories/{coord}"): {"payload": {}},
    ("POST", "/link"): {"from_coord": "1", "to_coord": "2"},
    ("POST", "/unlink"): {"from_coord": "1", "to_coord": "2"},
    ("POST", "/delete_many"): {"coords": ["1"]},
    ("POST", "/check"): {},
    ("POST", "/export_memories"): {"path": "a.jsonl"},
    ("POST", "/events/replay"): {"from": "2026-01-01T00:00:00Z"},
}
ENDLESS = {"/events": "/events/page"}
"""What stands for an endpoint whose answer has no end; it has the same rule."""
PARAMETERS: dict[tuple[str, str], dict[str, str]] = {
    ("GET", "/range"): {"min": "1", "max": "2"},
    ("GET", "/neighbors"): {"coord": "1"},
    ("GET", "/shortest_path"): {"frm": "1", "to": "2"},
}
