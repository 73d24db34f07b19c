"""The header `Idempotency-Key`: a name for a write, so that it happens once."""

from __future__ import annotations

import re

from sfm_core.errors import InvalidInputError
from sfm_core.model.idempotency import MAX_KEY_BYTES, IdempotencyKey

HEADER = "Idempotency-Key"

_QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_ESCAPED = re.compile(r"\\(.)")
_SPECIAL = re.compile(r'(["\\])')
_ESCAPE = r"\\\1"


def parse_key(header: str) -> IdempotencyKey:
    """Read the header.

    Args:
        header: The key as a string of RFC 9651, in quotes, or as it is.

    Returns:
        The key.

    Raises:
        InvalidInputError: It is neither.
    """
    text = header.strip()
    quoted = _QUOTED.fullmatch(text)
    if quoted is None and text.startswith('"'):
        raise malformed("begins with a quote and does not end so")
    key = text if quoted is None else _ESCAPED.sub(r"\1", quoted[1])
    if not (key.isascii() and key.isprintable() and 1 <= len(key) <= MAX_KEY_BYTES):
        raise malformed("is empty, too long, or not in printable ASCII")
    return IdempotencyKey(key)


def key_of(text: str | None) -> IdempotencyKey | None:
    """Return the key of a text, if there is one.

    Args:
        text: Printable characters of ASCII.

    Returns:
        The key.

    Raises:
        InvalidInputError: It is something else.
    """
    return None if text is None else parse_key(f'"{_SPECIAL.sub(_ESCAPE, text)}"')


def key_header(text: str | None) -> dict[str, str]:
    """Return the header that carries a key, if there is one.

    Args:
        text: See `key_of`.

    Returns:
        The header; empty where there is no key.

    Raises:
        InvalidInputError: It is no key.
    """
    key = key_of(text)
    return {} if key is None else {HEADER: f'"{_SPECIAL.sub(_ESCAPE, key.text)}"'}


def malformed(what: str) -> InvalidInputError:
    """Return the error for a header that holds no key."""
    return InvalidInputError(
        f"The header {HEADER} {what}.",
        field=HEADER,
        remedy=f"Send one key of 1 to {MAX_KEY_BYTES} printable characters, such as a UUID.",
    )
