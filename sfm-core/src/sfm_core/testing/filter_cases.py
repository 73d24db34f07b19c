"""The filter language by example, for the model and for every vector store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sfm_core.model.payload import JsonValue, Payload


@dataclass(frozen=True, slots=True)
class FilterCase:
    """One filter with payloads that it must and must not match.

    Attributes:
        source: The filter in its JSON form.
        hits: Payloads that match.
        misses: Payloads that do not.
    """

    source: dict[str, JsonValue]
    hits: tuple[Payload, ...]
    misses: tuple[Payload, ...]


FILTER_CASES: Final = (
    FilterCase(
        {"topic": "x"},
        ({"topic": "x"}, {"topic": ["y", "x"]}, {"topic": "x", "other": 1}),
        (
            {"topic": "X"},
            {"topic": "xy"},
            {"topic": ["xy"]},
            {"other": "x"},
            {"topic": {"x": "x"}},
            {},
        ),
    ),
    FilterCase({"n": 1}, ({"n": 1}, {"n": 1.0}, {"n": [1]}), ({"n": True}, {"n": "1"}, {"n": 10})),
    FilterCase({"n": True}, ({"n": True}, {"n": [True]}), ({"n": 1}, {"n": "true"}, {"n": False})),
    FilterCase({"n": False}, ({"n": False},), ({"n": 0}, {"n": None}, {"n": ""}, {})),
    FilterCase({"n": 0}, ({"n": 0}, {"n": -0.0}), ({"n": False}, {"n": None}, {})),
    FilterCase({"n": None}, ({"n": None}, {"n": [None]}), ({"n": 0}, {"n": []}, {"n": ""}, {})),
    FilterCase({"n": ""}, ({"n": ""},), ({"n": " "}, {"n": None}, {})),
    FilterCase({"n": "caf\u00e9"}, ({"n": "caf\u00e9"},), ({"n": "cafe\u0301"}, {"n": "cafe"})),
    FilterCase({"n": "50%"}, ({"n": "50%"},), ({"n": "501"}, {"n": "50"})),
    FilterCase({"n": "a_c"}, ({"n": "a_c"},), ({"n": "abc"},)),
    FilterCase({"n": "it's"}, ({"n": "it's"},), ({"n": "it''s"}, {"n": "its"})),
    FilterCase(
        {"n": [1, "a"]},
        ({"n": [1, "a"]}, {"n": [1.0, "a"]}, {"n": [[1, "a"], 2]}),
        ({"n": ["a", 1]}, {"n": [1]}, {"n": [1, "a", 2]}, {"n": 1}),
    ),
    FilterCase(
        {"n": {"a": 1}},
        ({"n": {"a": 1}}, {"n": [{"a": 1}]}),
        ({"n": {"a": 1, "b": 2}}, {"n": {}}, {"n": 1}),
    ),
    FilterCase({"n": {}}, ({"n": {}},), ({"n": {"a": 1}}, {"n": []}, {})),
    FilterCase(
        {"a.b": 1},
        ({"a": {"b": 1}}, {"a": [{"b": 2}, {"b": 1}]}, {"a": {"b": [2, 1]}}),
        ({"a": {"b": 2}}, {"a": 1}, {"b": 1}, {"a.b": 1}, {"a": {"c": {"b": 1}}}),
    ),
    FilterCase(
        {"a.b.c": "x"},
        ({"a": [{"b": {"c": "x"}}, 3]}, {"a": {"b": [{"c": ["x"]}]}}),
        ({"a": {"b": "c"}}, {"a": {"b": {"c": {"x": 1}}}}),
    ),
    FilterCase({"a.0": 1}, ({"a": {"0": 1}},), ({"a": [1]},)),
    FilterCase(
        {"n": {"$ne": 1}},
        ({"n": 2}, {"n": True}, {"n": None}, {}, {"n": []}),
        ({"n": 1}, {"n": 1.0}, {"n": [2, 1]}),
    ),
    FilterCase(
        {"n": {"$in": [1, "a", None]}}, ({"n": 1}, {"n": ["a"]}, {"n": None}), ({"n": 2}, {})
    ),
    FilterCase({"n": {"$nin": [1, "a"]}}, ({"n": 2}, {}, {"n": None}), ({"n": 1}, {"n": [3, "a"]})),
    FilterCase(
        {"n": {"$gt": 1}}, ({"n": 1.5}, {"n": [0, 2]}), ({"n": 1}, {"n": "2"}, {"n": True}, {})
    ),
    FilterCase({"n": {"$gte": 1}}, ({"n": 1}, {"n": 10}), ({"n": 0.5}, {"n": "1"}, {"n": True})),
    FilterCase(
        {"n": {"$lt": 2}}, ({"n": 1}, {"n": -10}), ({"n": 2}, {"n": None}, {"n": False}, {})
    ),
    FilterCase({"n": {"$lte": 2}}, ({"n": 2}, {"n": 2.0}), ({"n": 2.5}, {"n": "1"})),
    FilterCase({"n": {"$gt": 9}}, ({"n": 10},), ({"n": 9}, {"n": "91"})),
    FilterCase(
        {"at": {"$gte": "2026-01-02", "$lt": "2026-02-01"}},
        ({"at": "2026-01-02"}, {"at": "2026-01-31T23:59:59Z"}),
        ({"at": "2026-02-01"}, {"at": "2025-12-31"}, {"at": 2026}, {}),
    ),
    FilterCase(
        {"n": {"$lt": "a"}}, ({"n": "B"}, {"n": ""}), ({"n": "a"}, {"n": "\u00e9"}, {"n": 1})
    ),
    FilterCase({"n": {"$gt": 1, "$lt": 3}}, ({"n": 2}, {"n": [0, 5]}), ({"n": 1}, {"n": 3})),
    FilterCase({"n": {"$exists": True}}, ({"n": None}, {"n": []}, {"n": 0}), ({}, {"m": 1})),
    FilterCase({"n": {"$exists": False}}, ({}, {"m": 1}), ({"n": None}, {"n": 0})),
    FilterCase(
        {"a.b": {"$exists": True}}, ({"a": [1, {"b": None}]},), ({"a": {}}, {"a": []}, {"a": 1})
    ),
    FilterCase(
        {"n": {"$contains": "x"}},
        ({"n": "axb"}, {"n": ["x"]}, {"n": ["ax"]}, {"n": [["x"]]}),
        ({"n": "X"}, {"n": 1}, {"n": {"x": 1}}, {}),
    ),
    FilterCase({"n": {"$contains": "%"}}, ({"n": "5%"},), ({"n": "5"},)),
    FilterCase(
        {"n": {"$contains": 1}},
        ({"n": [1, 2]}, {"n": [1.0]}),
        ({"n": 1}, {"n": "1"}, {"n": [True]}),
    ),
    FilterCase({"n": {"$contains": None}}, ({"n": [None]},), ({"n": None}, {"n": []})),
    FilterCase({"n": {"$not": {"$gt": 1}}}, ({"n": 1}, {"n": "5"}, {}), ({"n": 2}, {"n": [0, 2]})),
    FilterCase({"a": 1, "b": 2}, ({"a": 1, "b": 2},), ({"a": 1}, {"b": 2}, {"a": 2, "b": 1})),
    FilterCase({"$and": [{"a": 1}, {"b": 2}]}, ({"a": 1, "b": 2},), ({"a": 1}, {})),
    FilterCase({"$or": [{"a": 1}, {"b": 2}]}, ({"a": 1}, {"b": 2}), ({"a": 2, "b": 1}, {})),
    FilterCase({"$not": {"a": 1, "b": 2}}, ({"a": 1}, {}), ({"a": 1, "b": 2},)),
    FilterCase(
        {
            "$or": [{"$and": [{"a": 1}, {"$not": {"b": 1}}]}, {"c": {"$exists": True}}],
            "d": {"$ne": 4},
        },
        ({"a": 1}, {"a": 1, "b": 1, "c": None}),
        ({"a": 1, "b": 1}, {"a": 1, "d": 4}, {}),
    ),
)
"""Each operator, and what implementations are known to get wrong about it."""
