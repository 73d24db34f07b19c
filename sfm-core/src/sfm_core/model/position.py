"""What a write still owes to derived stores, as something that callers can carry around.

As text, a position is the digest of the truth, the epoch and the notes with dots
between. No character needs quoting in a URL, and none is a comma.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice

from sfm_core.errors import InvalidPositionError, LimitExceededError
from sfm_core.model.runs import from_runs, to_runs

MAX_NOTES = 100_000
"""Notes that the positions of one text may name together."""

MAX_CHARACTERS = 1_000_000
"""Length of a text of positions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WritePosition:
    """Names what a write still owes to derived stores; see `MemoryEngine.wait_for`.

    Its text is opaque. It can be kept, sent, and joined with others by commas.

    Attributes:
        truth: Digest of the id of the truth that took the write.
        epoch: Epoch of that truth then.
        notes: Ids of the outbox notes that are to be worked off.
    """

    truth: str
    epoch: int
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the text that `parse_positions` reads."""
        return ".".join((self.truth, str(self.epoch), *to_runs(self.notes)))


def digest_of(truth_id: str) -> str:
    """Return what texts that callers carry around call a truth."""
    return urlsafe_b64encode(blake2b(truth_id.encode(), digest_size=9).digest()).decode()


def parse_positions(text: str, *, field: str = "min_position") -> list[WritePosition]:
    """Read one position, several with commas between them, or none.

    Args:
        text: What writes have answered; empty where there was nothing to write.
        field: Name to use in the error message.

    Returns:
        The positions, in order.

    Raises:
        InvalidPositionError: The text is nothing that a write has answered.
        LimitExceededError: It is too long, or names more than `MAX_NOTES` notes.
    """
    if len(text) > MAX_CHARACTERS:
        raise _too_large(f"{field} has more than {MAX_CHARACTERS} characters.", field)
    positions: list[WritePosition] = []
    room = MAX_NOTES
    for one in filter(str.strip, text.split(",")):
        try:
            truth, epoch, *parts = one.strip().split(".")
            # A few characters can name more notes than there is memory for.
            notes = tuple(islice(from_runs(parts), room + 1))
            positions.append(WritePosition(truth=truth, epoch=int(epoch), notes=notes))
        except ValueError as error:
            raise InvalidPositionError(
                f"{field} {one[:80]!r} is no position.",
                field=field,
                remedy="Give what a write has answered as its position, or leave it out.",
            ) from error
        room -= len(notes)
        if room < 0:
            raise _too_large(f"{field} names more than {MAX_NOTES} writes.", field)
    return positions


def joined(positions: Iterable[WritePosition]) -> str:
    """Return the text of several positions, what they owe to one truth together.

    Args:
        positions: Positions, perhaps none.

    Returns:
        A text for `parse_positions`; empty where there are no positions.
    """
    notes: dict[tuple[str, int], list[str]] = {}
    for one in positions:
        notes.setdefault((one.truth, one.epoch), []).extend(one.notes)
    return ",".join(
        str(WritePosition(truth=truth, epoch=epoch, notes=tuple(owed)))
        for (truth, epoch), owed in notes.items()
    )


def _too_large(message: str, field: str) -> LimitExceededError:
    return LimitExceededError(message, field=field, remedy="Give the positions of fewer writes.")
