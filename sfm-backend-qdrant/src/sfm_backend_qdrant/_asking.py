"""What a store asks of a Qdrant, and what it is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray
from qdrant_client import models

Offset: TypeAlias = str


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One way to rank points.

    Attributes:
        using: Name of the vectors that are compared.
        vector: With what, where they are dense.
        words: With what, where they are sparse.
    """

    using: str
    vector: NDArray[np.float32] | None = None
    words: Mapping[int, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One search: the best of each arm, all of them ranked by each arm.

    Attributes:
        arms: At least one; the first ranks every point.
        condition: What the points satisfy.
        corpus: The points among which the rarity of terms is counted, where
            this Qdrant can.
        fields: What to return of their payload.
        size: How many points each arm chooses.
    """

    arms: tuple[Arm, ...]
    condition: models.Filter
    corpus: models.Filter
    fields: list[str]
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """In which order points are listed.

    Attributes:
        key: The field that they are sorted by.
        start: The least value; `None` is the least there is.
    """

    key: str
    start: int | None


class Listed(Protocol):
    """A point that was listed."""

    @property
    def id(self) -> str:
        """Its id."""
        ...

    @property
    def fields(self) -> Mapping[str, object]:
        """What was asked for of its payload."""
        ...


class Found(Listed, Protocol):
    """A point that was found."""

    @property
    def score(self) -> float:
        """Its score in the arm that ranked it."""
        ...


class Page(Protocol):
    """Some points of a listing."""

    @property
    def points(self) -> Sequence[Listed]:
        """The points."""
        ...

    @property
    def offset(self) -> Offset | None:
        """Where the next page begins; `None` at the end, and always in an ordered listing."""
        ...
