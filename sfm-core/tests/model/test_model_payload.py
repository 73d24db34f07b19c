from __future__ import annotations

import json
import math

import pytest
from hypothesis import given

from sfm_core.errors import InvalidPayloadError, LimitExceededError
from sfm_core.model.filters import same
from sfm_core.model.payload import Payload, PayloadLimits, encode_payload
from sfm_core.testing.strategies import payloads

LIMITS = PayloadLimits()


def nested(depth: int) -> dict[str, object]:
    payload: dict[str, object] = {}
    for _ in range(depth - 1):
        payload = {"a": payload}
    return payload


@given(payloads())
def test_a_payload_comes_back_equal(payload: Payload) -> None:
    assert same(json.loads(encode_payload(payload, LIMITS)), payload)


@pytest.mark.parametrize(
    "value", ["\x00", "\u2028", "\U0001f9e0", 2**53 + 1, -(2**63), 2**64 - 1, 5e-324, 1e308]
)
def test_unusual_values_come_back_equal(value: float | str) -> None:
    assert json.loads(encode_payload({"a": value}, LIMITS)) == {"a": value}


@pytest.mark.parametrize("payload", [None, [], "text", 1, b"{}", [("a", 1)]])
def test_what_is_no_object_is_refused(payload: object) -> None:
    with pytest.raises(InvalidPayloadError) as caught:
        encode_payload(payload, LIMITS)
    assert caught.value.field == "payload"


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"a": math.nan}, "payload.a"),
        ({"a": {"b": [1, math.inf]}}, "payload.a.b[1]"),
        ({"a": "\ud800"}, "payload.a"),
        ({"\udc00": 1}, "payload"),
        ({1: "a"}, "payload"),
        ({"a": {None: 1}}, "payload.a"),
        ({"a": b"bytes"}, "payload.a"),
        ({"a": {1, 2}}, "payload.a"),
        ({"a": [object()]}, "payload.a[0]"),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(payload: object, field: str) -> None:
    with pytest.raises(InvalidPayloadError) as caught:
        encode_payload(payload, LIMITS)
    assert caught.value.field == field


def test_the_deepest_payload_is_accepted_and_a_deeper_one_refused() -> None:
    assert encode_payload(nested(LIMITS.max_depth), LIMITS)
    with pytest.raises(LimitExceededError):
        encode_payload(nested(LIMITS.max_depth + 1), LIMITS)


@pytest.mark.parametrize("depth", [5000])
def test_a_payload_that_is_far_too_deep_is_refused(depth: int) -> None:
    with pytest.raises(LimitExceededError):
        encode_payload(nested(depth), LIMITS)


def test_a_payload_that_contains_itself_is_refused() -> None:
    payload: dict[str, object] = {}
    payload["self"] = payload
    with pytest.raises(LimitExceededError):
        encode_payload(payload, LIMITS)


def test_the_largest_payload_is_accepted_and_a_larger_one_refused() -> None:
    room = PayloadLimits(max_bytes=20)
    assert len(encode_payload({"a": "x" * 12}, room)) == 20
    with pytest.raises(LimitExceededError, match="21"):
        encode_payload({"a": "x" * 13}, room)


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400])
def test_an_integer_beyond_64_bits_is_refused(number: int) -> None:
    with pytest.raises(InvalidPayloadError) as caught:
        encode_payload({"a": number}, LIMITS)
    assert caught.value.field == "payload.a"
