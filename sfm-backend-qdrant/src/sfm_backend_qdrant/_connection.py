"""What a store asks of a connection."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeAlias, TypeVar

from qdrant_client import AsyncQdrantClient

from sfm_backend_qdrant.settings import QdrantSettings

AnswerT = TypeVar("AnswerT")
Ask: TypeAlias = Callable[[AsyncQdrantClient], Coroutine[Any, Any, AnswerT]]


class Connection(Protocol):
    """Where requests are made."""

    @property
    def settings(self) -> QdrantSettings:
        """What it was made with."""
        ...

    @property
    def counts_by_namespace(self) -> bool:
        """Whether it can count how rare a term is in one namespace; known once it is open."""
        ...

    @property
    def indexes_elements(self) -> bool:
        """Whether its indexes can tell the elements of an array apart; known once it is open."""
        ...

    async def open(self) -> None:
        """Open it, or count one more user."""
        ...

    async def close(self) -> None:
        """Close it when the last user does."""
        ...

    async def run(self, ask: Ask[AnswerT]) -> AnswerT:
        """Make a request.

        Args:
            ask: What to call on the client.

        Raises:
            SfmError: It failed; see `_errors`.
        """
        ...
