"""The part of the key-value port that tells what changed, in the order of its becoming visible."""

from __future__ import annotations

from typing import Protocol

from sfm_core.model.events import LoggedEvent, Position
from sfm_core.protocols.lifecycle import Backend


class EventLog(Backend, Protocol):
    """Holds what commits have appended, until it is trimmed."""

    async def read_events(self, *, after: Position, limit: int) -> list[LoggedEvent]:
        """Read the event log onwards from a position.

        Args:
            after: A position that was read before, or `START`.
            limit: Most events to return.

        Returns:
            The next events, in order.

        Raises:
            InvalidInputError: `after` is no position of this store.
            BackendUnavailableError: The store was not reached before the deadline.

        Guarantees:
            No event ever becomes visible before a position that was already
            returned, whatever transactions run meanwhile. The events of one
            key are in order of their versions.
        """
        ...

    async def count_events(self, *, after: Position, limit: int) -> int:
        """Tell how many events follow a position, as far as that costs little.

        Args:
            after: A position that was read before, or `START`.
            limit: What not to count beyond, 1 to `MAX_BATCH`.

        Returns:
            How many `read_events` would return; `limit` where there are more.

        Raises:
            InvalidInputError: `after` is no position of this store.
            LimitExceededError: A limit out of bounds.
            BackendUnavailableError: The store was not reached before the deadline.

        Guarantees:
            Cost grows with what is counted, not with the log.
        """
        ...

    async def end_of_events(self) -> Position:
        """Tell where the event log ends now.

        Returns:
            The position of the last event that was logged, be it still there or
            not; `START` where none ever was.

        Raises:
            BackendUnavailableError: The store was not reached before the deadline.

        Guarantees:
            Every event of a commit that was acknowledged before the call is up
            to there, and every event that becomes visible later is after it.
        """
        ...

    async def any_trimmed(self, *, after: Position) -> bool:
        """Tell whether events after a position are no longer in the log.

        Args:
            after: A position that was read before, or `START`.

        Returns:
            Whether an event after it was removed; for `START`, whether any ever was.

        Raises:
            InvalidInputError: `after` is no position of this store.
            BackendUnavailableError: The store was not reached before the deadline.

        Guarantees:
            What was removed before the call is told. So who asks after reading
            on from `after`, and is told no, has missed nothing.
        """
        ...

    async def trim_events(self, *, through: Position) -> int:
        """Remove events from the start of the log.

        Args:
            through: The last event to remove.

        Returns:
            How many were removed.

        Raises:
            InvalidInputError: `through` is no position of this store.
            BackendUnavailableError: The store was not reached before the deadline.

        Guarantees:
            Idempotent. Positions of later events stay as they are.
        """
        ...
