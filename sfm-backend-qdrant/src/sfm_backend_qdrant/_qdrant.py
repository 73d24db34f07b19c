"""What a store asks of a Qdrant, wherever it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from qdrant_client import models

from sfm_backend_qdrant._asking import Ask, Found, Offset, Order, Page
from sfm_backend_qdrant._encoding import StoredPoint
from sfm_backend_qdrant.settings import QdrantSettings


class Qdrant(Protocol):
    """Collections of points.

    Every method but `open` and `close` raises `ConfigurationError` where there
    is no such collection, and the other errors of `sfm_core.errors` where it fails.
    """

    @property
    def settings(self) -> QdrantSettings:
        """What it was made with."""
        ...

    async def open(self) -> None:
        """Open it, or count one more user."""
        ...

    async def close(self) -> None:
        """Close it when the last user does."""
        ...

    async def ping(self) -> None:
        """Do the cheapest thing that proves it works."""
        ...

    async def names(self) -> list[str]:
        """List the collections, those of others too."""
        ...

    async def exists(self, name: str) -> bool:
        """Tell whether there is a collection of this name."""
        ...

    async def create(self, name: str, dimension: int) -> None:
        """Make a collection.

        Raises:
            AlreadyExistsError: There is one of that name.
        """
        ...

    async def complete(self, name: str) -> int | None:
        """Make the indexes that a collection lacks.

        Returns:
            The dimension of its vectors; `None` for a collection that is not
            ours, which is left as it is.
        """
        ...

    async def dimension(self, name: str) -> int | None:
        """Return the dimension of a collection's vectors, `None` for one that is not ours."""
        ...

    async def upsert(self, name: str, points: Sequence[StoredPoint]) -> None:
        """Write points, and return when searches see them."""
        ...

    async def delete(self, name: str, ids: Sequence[str]) -> None:
        """Remove points, and return when searches do not find them."""
        ...

    async def query(self, name: str, asks: Sequence[Ask]) -> Sequence[Sequence[Sequence[Found]]]:
        """Search.

        Returns:
            For each search and each of its arms the points that any arm chose,
            ranked by this one. Only those of the first arm have fields.
        """
        ...

    async def scroll(
        self,
        name: str,
        condition: models.Filter,
        fields: list[str],
        *,
        size: int,
        order: Order | None = None,
        offset: Offset | None = None,
    ) -> Page:
        """List points.

        Args:
            name: The collection.
            condition: What they satisfy.
            fields: What to return of their payload.
            size: How many.
            order: In which order; by id where there is none.
            offset: Where to begin, in a listing without an order.
        """
        ...

    async def drop(self, name: str) -> None:
        """Remove a collection with all its points."""
        ...

    async def scrub(self) -> str:
        """Let go of what files have of removed points.

        Returns:
            What may be left, in whole sentences; "" where nothing is.
        """
        ...
