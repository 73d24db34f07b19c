"""The source port: where a consumer gets the events that a sink has published.

A stream is read by *groups*. Each group gets every event at least once, and
remembers up to where it is done. The members of one group share the work: the
events of a memory go to one member at a time, in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from sfm_core.model.events import Event
from sfm_core.protocols.lifecycle import Backend


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What came out of a stream.

    Attributes:
        place: Where it is in the stream; no two have the same.
        event: The event; `None` where what lies there is none of ours.
        problem: Why it is none; "" where it is one.
    """

    place: str
    event: Event | None
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """Why an event is set aside.

    Attributes:
        handler: Who could not take it, by URL scheme; "" where it is no event.
        code: Stable code of the error, as in `sfm_core.errors`.
        reason: What happened, in words, without a secret.
    """

    handler: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """An event that was set aside.

    Attributes:
        place: Where it was in the stream; names the letter.
        rejection: Why it is here.
        at: When it was set aside.
        value: The bytes that lay in the stream.
    """

    place: str
    rejection: Rejection
    at: datetime
    value: bytes


class EventSource(Backend, Protocol):
    """Hands out the events of a stream to one member of a group.

    Opening it joins no group: the first `receive` does.
    """

    async def receive(self, *, limit: int, wait: timedelta) -> list[Delivery]:
        """Take the next events.

        Args:
            limit: Most events to return, 1 to `MAX_BATCH`.
            wait: How long to wait for the first one.

        Returns:
            The next deliveries, of any number of memories; empty where none came.

        Raises:
            LimitExceededError: A limit out of bounds.
            BackendUnavailableError: The stream was not reached; a later call goes on.

        Guarantees:
            Events of the same source and subject come in the order in which
            they were published. What is not acknowledged comes again: to this
            group's next member, or to this one where it got it back. A call
            that fails or is cancelled takes nothing: a later one returns it.
        """
        ...

    async def acknowledge(self, deliveries: Sequence[Delivery]) -> None:
        """Note that the group is done with deliveries, and with what came before them.

        Args:
            deliveries: What `receive` returned. Those that have gone to
                another member meanwhile are left out.

        Raises:
            BackendUnavailableError: The stream was not reached; what was not
                noted comes again.

        Guarantees:
            Idempotent. Never goes back.
        """
        ...

    async def set_aside(self, delivery: Delivery, rejection: Rejection) -> None:
        """Keep a delivery as a dead letter, with everything it came with.

        Args:
            delivery: What `receive` returned; acknowledge it afterwards.
            rejection: Why.

        Raises:
            BackendUnavailableError: The stream was not reached; it may be kept
                all the same.

        Guarantees:
            When it returns, the letter is as durable as the stream. Setting
            aside the same place twice leaves one letter.
        """
        ...

    async def lag(self) -> int:
        """Tell how many events this member has not acknowledged yet.

        Returns:
            Their number, over all that this member shares in; 0 where it has
            not received anything yet.

        Raises:
            BackendUnavailableError: The stream was not reached.
        """
        ...

    async def dead_letters(self, *, limit: int) -> list[DeadLetter]:
        """List what was set aside and neither retried nor dropped since.

        Args:
            limit: Most letters to return, 1 to `MAX_BATCH`.

        Returns:
            The oldest letters, oldest first.

        Raises:
            LimitExceededError: A limit out of bounds.
            BackendUnavailableError: The stream was not reached.
        """
        ...

    async def retry(self, places: Sequence[str]) -> int:
        """Publish dead letters to the stream again, as they were, and drop them.

        Args:
            places: Which; at most `MAX_BATCH`. Those that are none any more are left out.

        Returns:
            How many were published.

        Raises:
            LimitExceededError: Too many places.
            BackendUnavailableError: The stream was not reached; some may be
                published and still be letters.
        """
        ...

    async def drop(self, places: Sequence[str]) -> int:
        """Let dead letters go.

        Args:
            places: Which; at most `MAX_BATCH`. Those that are none any more are left out.

        Returns:
            How many were dropped.

        Raises:
            LimitExceededError: Too many places.
            BackendUnavailableError: The stream was not reached; some may be gone.
        """
        ...
