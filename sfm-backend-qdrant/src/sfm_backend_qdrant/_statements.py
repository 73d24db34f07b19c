"""What is said about the values at a path, as numbers that Qdrant can compare.

Payloads have no schema, and Qdrant's own paths, comparisons and absent values
differ from those of `sfm_core.model.filters`. So what filters ask of a payload
is kept in a form of our own, whose fields are always the same and have an
index each:

- `tokens`: one 64-bit hash for each statement about a path that an equality
  can ask for: that it has a value, has this value, has an array with this
  element, has text.
- `numbers`: each number, with the hash of its path.
- `texts`: the first 24 bytes of each text as four numbers that sort as the
  text does, with its length and the hash of its path.

Two different statements have the same hash in about one of 10^19 pairs.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Final

import msgspec

from sfm_core.model.payload import JsonValue

DENSE: Final = "dense"
WORDS: Final = "words"

TOKENS: Final = "tokens"
NUMBERS: Final = "numbers"
TEXTS: Final = "texts"

PATH: Final = "path"
VALUE: Final = "value"
TEXT_KEYS: Final = ("word_0", "word_1", "word_2", "word_3", "bytes")
TEXT_PREFIX_BYTES: Final = 24

HAS_VALUE: Final = "?"
EQUALS: Final = "="
HOLDS: Final = "@"
HAS_TEXT: Final = "t"

_WORD_BYTES: Final = 6
_WHOLE: Final = (-(2.0**63), 2.0**64)


def path_token(path: str) -> int:
    """Return what stands for a path in `numbers` and `texts`."""
    return token(PATH, path)


def token(kind: str, path: str, value: JsonValue = None) -> int:
    """Return what stands for a statement about a path: 64 bits, signed as Qdrant wants it."""
    said = msgspec.json.encode([kind, path, _canonical(value)], order="deterministic")
    return int.from_bytes(blake2b(said, digest_size=8).digest(), signed=True)


def text_numbers(text: str) -> tuple[int, ...]:
    """Return numbers that sort as texts do, as far as the first 24 bytes tell.

    Of two texts with the same first four numbers, where one has at most 24
    bytes, the fifth, the length, tells which is less: the longer one goes on
    with zero bytes where the other ends.
    """
    raw = text.encode()
    head = raw[:TEXT_PREFIX_BYTES].ljust(TEXT_PREFIX_BYTES, b"\0")
    starts = range(0, TEXT_PREFIX_BYTES, _WORD_BYTES)
    return (*(int.from_bytes(head[at : at + _WORD_BYTES]) for at in starts), len(raw))


def _canonical(value: JsonValue) -> JsonValue:
    """Write equal values in one way: whole floats as integers."""
    if isinstance(value, float) and value.is_integer() and _WHOLE[0] <= value < _WHOLE[1]:
        return int(value)
    if isinstance(value, Mapping):
        return {key: _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value
