"""What every backend has in common."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self


class Backend(Protocol):
    """Something that is opened, can be asked whether it works, and is closed."""

    @property
    def scheme(self) -> str:
        """URL scheme under which it is registered, for errors and health."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other processes opened with the same URL see the same data."""
        ...

    async def __aenter__(self) -> Self:
        """Open it.

        Raises:
            BackendUnavailableError: It cannot be reached.
            ConfigurationError: Its settings cannot work.
            ReadOnlyStorageError: It would have to write, and may not.
            CorruptDataError: What it finds is not its own, or is damaged.
        """
        ...

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Release everything it opened; what was acknowledged stays."""
        ...

    async def ping(self) -> None:
        """Do the cheapest thing that proves it works.

        Raises:
            BackendError: It does not work; the message says why.
        """
        ...
