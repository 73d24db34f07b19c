"""Names that callers choose: namespaces, link types, episodes."""

from __future__ import annotations

import unicodedata

from sfm_core.errors import InvalidInputError

MAX_NAME_BYTES = 128
SYSTEM_NAMESPACE = ""
"""Where the engine keeps its own entries, such as the manifest; no caller can name it."""


def check_name(name: str, *, field: str, limit: int = MAX_NAME_BYTES) -> str:
    """Check a name that becomes part of a key.

    Args:
        name: 1 to `limit` bytes of UTF-8 without control characters.
        field: What to call it in the error.
        limit: Most bytes it may take.

    Returns:
        The name, unchanged.

    Raises:
        InvalidInputError: The name is empty, too long, or has a character that is not allowed.
    """
    remedy = f"Use 1 to {limit} bytes of text without control characters."
    try:
        size = len(name.encode())
    except UnicodeEncodeError as error:
        raise InvalidInputError(
            f"{field} holds half of a surrogate pair.", field=field, remedy=remedy
        ) from error
    if not 1 <= size <= limit:
        raise InvalidInputError(f"{field} takes {size} bytes.", field=field, remedy=remedy)
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise InvalidInputError(f"{field} has a control character.", field=field, remedy=remedy)
    return name
