"""The handler port: what a consumer does with events."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

from sfm_core.errors import SfmError
from sfm_core.model.events import Event


class EventHandler(Protocol):
    """Takes events in, one batch after the other.

    Events may come twice, and late: a handler tells by the `version` of an
    event whether it has something newer already.
    """

    async def __aenter__(self) -> Self:
        """Open it.

        Raises:
            SfmError: It cannot work.
        """
        ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release everything it opened."""
        ...

    async def handle(self, events: Sequence[Event]) -> list[SfmError | None]:
        """Take in events.

        Args:
            events: At most `MAX_BATCH`; those of a memory are in order.

        Returns:
            One outcome per event, in order: `None` where its effect lasts or
            there was nothing to do; an error where it can never be taken in,
            which makes it a dead letter.

        Raises:
            BackendError: One that is `retryable`: nothing is decided, and the
                same events come again after a pause, for as long as it takes.
            SfmError: Any other stops the consumer; nothing is acknowledged.

        Guarantees:
            Idempotent: the same events may be handed in again, whatever became
            of the first time.
        """
        ...
