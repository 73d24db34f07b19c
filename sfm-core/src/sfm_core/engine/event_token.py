"""Places in the event log as something that callers can carry around."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

from sfm_core.errors import InvalidInputError
from sfm_core.model.events import Position
from sfm_core.model.position import digest_of


class EventTokens:
    """Makes opaque texts of positions, which say of which truth they are."""

    def __init__(self, truth_id: str) -> None:
        """Make tokens of the truth that has this id."""
        self._truth = digest_of(truth_id)

    def token(self, position: Position) -> str:
        """Return the token of a position: letters, digits, `-`, `_` and one dot."""
        return f"{self._truth}.{_text(position.encode())}"

    def position(self, token: str) -> Position | None:
        """Return the position of a token.

        Args:
            token: What `token` has returned, be it for another truth.

        Returns:
            The position; `None` where it is one of another truth.

        Raises:
            InvalidInputError: It is no token.
        """
        truth, dot, place = token.partition(".")
        try:
            position = urlsafe_b64decode(place + "=" * (-len(place) % 4)).decode()
        except ValueError as error:
            raise _invalid(token) from error
        # So that a text that is cut short is not taken for one of elsewhere.
        whole = dot and len(truth) == len(self._truth)
        if not whole or self.token(Position(position)).partition(".")[2] != place:
            raise _invalid(token)
        return Position(position) if truth == self._truth else None


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).decode().rstrip("=")


def _invalid(token: str) -> InvalidInputError:
    return InvalidInputError(
        f"after {token[:80]!r} is no position of an event.",
        field="after",
        remedy="Give the position that came with an event, `start` or `now`.",
    )
