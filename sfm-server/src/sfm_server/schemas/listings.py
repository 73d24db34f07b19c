"""Answers that list something, page by page."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfm_server.schemas.memories import MemoryAnswer
from sfm_server.schemas.values import Cursor, unasked


@dataclass(frozen=True, slots=True, kw_only=True)
class CoordsAnswer:
    """Coordinates in a range, in ascending order.

    Attributes:
        coords: The coordinates.
        next_cursor: What asks for the next page; left out on the last.
    """

    coords: list[str]
    next_cursor: Cursor = field(default_factory=unasked)


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoriesAnswer:
    """Memories in ascending order of their coordinates, those with fewer components first.

    Attributes:
        memories: The memories, without how often they were read.
        next_cursor: What asks for the next page; left out on the last.
    """

    memories: list[MemoryAnswer]
    next_cursor: Cursor = field(default_factory=unasked)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamespacesAnswer:
    """Namespaces in ascending order.

    Attributes:
        namespaces: Their names.
        next_cursor: What asks for the next page; left out on the last.
    """

    namespaces: list[str]
    next_cursor: Cursor = field(default_factory=unasked)
