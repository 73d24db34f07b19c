"""What picks memories to be deleted."""

from __future__ import annotations

from dataclasses import dataclass

from sfm_core.errors import InvalidInputError
from sfm_core.model.filters import Filter
from sfm_core.model.memory import MemoryType


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Picks memories by payload and type, never all there are.

    Attributes:
        filter: Only those whose payload matches.
        type: Only those of this type.

    Raises:
        InvalidInputError: Neither is given.
    """

    filter: Filter | None = None
    type: MemoryType | None = None

    def __post_init__(self) -> None:
        """Refuse to pick everything, which an empty filter might mean by mistake."""
        if self.filter is None and self.type is None:
            raise InvalidInputError(
                "Nothing says which memories are meant.",
                field="filters",
                remedy="Give a filter that is not empty, or a type.",
            )
