"""Where a page of a listing ends, as something that callers can carry around.

A cursor says after what the next page begins, and for which listing. It holds
no state of a server, so any worker can go on, and it never grows old.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import TypeVar

from sfm_core.errors import InvalidCursorError, SfmError
from sfm_core.model.idempotency import digest_of_request

MAX_CURSOR_CHARACTERS = 8192
_CHECK_BYTES = 9

PlaceT = TypeVar("PlaceT")


def cursor_of(place: str, *listing: object) -> str:
    """Return the cursor of a place.

    Args:
        place: What the page ends with.
        listing: What is listed: endpoint, namespace and filters.

    Returns:
        Letters, digits, `-` and `_`.
    """
    whole = _check(place, listing) + place.encode()
    return urlsafe_b64encode(whole).decode().rstrip("=")


def place_of(
    cursor: str | None, read: Callable[[str], PlaceT], *listing: object, field: str = "cursor"
) -> PlaceT | None:
    """Return where to go on.

    Args:
        cursor: What `cursor_of` has returned, or `None` for the beginning.
        read: Makes of the text of a place what it stands for.
        listing: What is listed; the same as it was then.
        field: Name to use in the error message.

    Returns:
        The place, or `None` for the beginning.

    Raises:
        InvalidCursorError: It is no cursor, or one of another listing.
    """
    if cursor is None:
        return None
    try:
        if len(cursor) > MAX_CURSOR_CHARACTERS:
            raise _invalid(field)
        whole = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        place = whole[_CHECK_BYTES:].decode()
        if cursor_of(place, *listing) != cursor:
            raise _invalid(field)
        return read(place)
    except (ValueError, SfmError) as error:
        raise _invalid(field) from error


def _check(place: str, listing: tuple[object, ...]) -> bytes:
    return digest_of_request(place, *listing)[:_CHECK_BYTES]


def _invalid(field: str) -> InvalidCursorError:
    return InvalidCursorError(
        f"{field} is none of this listing.",
        field=field,
        remedy="Give the `next_cursor` of the page before, and ask for the same as there.",
    )
