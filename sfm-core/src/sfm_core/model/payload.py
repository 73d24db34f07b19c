"""Payloads: the JSON object that a memory is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, cast

import msgspec

from sfm_core.errors import InvalidPayloadError, LimitExceededError

JsonValue: TypeAlias = (
    "bool | int | float | str | Sequence[JsonValue] | Mapping[str, JsonValue] | None"
)
Payload: TypeAlias = Mapping[str, JsonValue]
_Members: TypeAlias = Mapping[object, object] | Sequence[object]
_Path: TypeAlias = "str | tuple[_Path, str | int]"
"""Where a value stands: the path of what holds it, and its key or position there."""


_SMALLEST: Final = -(2**63)
_LARGEST: Final = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadLimits:
    """How large one payload may be.

    Attributes:
        max_bytes: Size of the encoded JSON.
        max_depth: Nesting of objects and arrays, the payload itself being 1.
    """

    max_bytes: int = 1_048_576
    max_depth: int = 32


def encode_payload(payload: object, limits: PayloadLimits, *, field: str = "payload") -> bytes:
    """Check that a payload can be stored without loss, and encode it.

    Args:
        payload: What the caller wants stored.
        limits: How large it may be.
        field: Name to use in error messages.

    Returns:
        Compact JSON in UTF-8; decoding it gives an equal payload.

    Raises:
        InvalidPayloadError: Not an object, or a key or value that JSON or
            Unicode cannot hold: NaN, infinity, an integer beyond 64 bits, a lone
            surrogate, a key that is no text.
        LimitExceededError: Larger or deeper than `limits`.
    """
    if not isinstance(payload, Mapping):
        raise InvalidPayloadError(
            f"{field} is of type {type(payload).__name__}, not an object.",
            field=field,
            remedy='Send an object such as {"text": "…"}.',
        )
    whole = cast(object, payload)
    try:
        encoded = msgspec.json.encode(whole)
    except (TypeError, ValueError, RecursionError):
        _check(whole, field, limits.max_depth)
        raise
    # Before going through it, which for one that is far too large would take long.
    if len(encoded) > limits.max_bytes:
        raise LimitExceededError(
            f"{field} takes {len(encoded)} bytes, more than {limits.max_bytes}.",
            field=field,
            remedy="Split it into several memories, or raise the limit.",
        )
    _check(whole, field, limits.max_depth)
    return encoded


def is_storable_number(number: float) -> bool:
    """Tell whether a number is finite, and no integer beyond 64 bits.

    Larger integers are legal JSON, but most stores would round or refuse them.
    """
    if isinstance(number, int):
        return _SMALLEST <= number <= _LARGEST
    return math.isfinite(number)


def is_storable_text(text: str) -> bool:
    """Tell whether a text is made of whole characters, so that it can be encoded."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check(value: object, path: _Path, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int | float):
        _check_number(value, path)
    elif isinstance(value, dict | list | tuple | Mapping):
        if depth == 0:
            where = _told(path)
            raise LimitExceededError(
                f"{where} is nested too deeply.", field=where, remedy="Flatten the payload."
            )
        _check_members(cast(_Members, value), path, depth - 1)
    elif value is not None:
        where = _told(path)
        raise InvalidPayloadError(
            f"{where} is of type {type(value).__name__}, which JSON cannot hold.",
            field=where,
            remedy="Send null, true, false, numbers, text, arrays or objects.",
        )


def _check_members(value: _Members, path: _Path, depth: int) -> None:
    if isinstance(value, list | tuple):
        for position, item in enumerate(value):
            _check(item, (path, position), depth)
        return
    for key, item in cast("Mapping[object, object]", value).items():
        if not isinstance(key, str):
            where = _told(path)
            raise InvalidPayloadError(
                f"{where} has the key {key!r}, which is no text.",
                field=where,
                remedy="Keys of an object are text.",
            )
        _check_text(key, path)
        _check(item, (path, key), depth)


def _check_number(number: float, path: _Path) -> None:
    if not is_storable_number(number):
        where = _told(path)
        raise InvalidPayloadError(
            f"{where} is a number that JSON or 64 bits cannot hold.",
            field=where,
            remedy="Send it as text, or null, or leave it out.",
        )


def _check_text(text: str, path: _Path) -> None:
    if not is_storable_text(text):
        where = _told(path)
        raise InvalidPayloadError(
            f"{where} holds half of a surrogate pair, which is no character.",
            field=where.encode(errors="replace").decode(),
            remedy="Send whole Unicode characters.",
        )


def _told(path: _Path) -> str:
    if isinstance(path, str):
        return path
    parent, part = path
    return f"{_told(parent)}.{part[:40]}" if isinstance(part, str) else f"{_told(parent)}[{part}]"
