"""The handler that has the derived stores of a memory follow its truth."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

from sfm_core.errors import ClosedError, ConfigurationError, SfmError
from sfm_core.handling import FollowedMemory, HandlerContext
from sfm_core.model.events import Event

SCHEME = "indexer"


class IndexerHandler:
    """Wakes up with each batch, and works off what the truth notes as owed.

    The events are only a sign that there is work: notes in the truth say which,
    and stay until it is done. So an event that comes twice, late or never leaves
    nothing behind that is wrong.
    """

    def __init__(
        self, open_memory: Callable[[], AbstractAsyncContextManager[FollowedMemory]]
    ) -> None:
        """Work on the memory that `open_memory` opens."""
        self._open_memory = open_memory
        self._memory: FollowedMemory | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._memory = await self._stack.enter_async_context(self._open_memory())
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._memory = None
        await self._stack.aclose()

    async def handle(self, events: Sequence[Event]) -> list[SfmError | None]:
        """Have the derived stores follow; see `EventHandler.handle`.

        Raises:
            BackendUnavailableError: A backend failed; what is owed stays noted.
            SupersededError: Another truth has taken over.
            ClosedError: It is not open.
        """
        if self._memory is None:
            raise ClosedError("The event handler is not open.")
        if events:
            await self._memory.follow_up()
        return [None] * len(events)


def make_indexer(url: str, context: HandlerContext) -> IndexerHandler:
    """Make the handler; see `HandlerFactory`.

    Args:
        url: `indexer:`.
        context: Opens the memory.

    Returns:
        The handler, not open.

    Raises:
        ConfigurationError: The URL says more than that.
    """
    if url.partition(":")[2]:
        raise ConfigurationError(
            f"{url!r} names something that the indexer does not need.",
            setting="SFM_CONSUMER_HANDLERS",
            remedy="Write `indexer:`; it works on the memory of the settings.",
        )
    return IndexerHandler(context.open_memory)
