"""A part of a listing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

ItemT = TypeVar("ItemT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[ItemT]):
    """A part of a listing, and whether there may be more.

    Attributes:
        items: The entries, in the order of the listing.
        more: Whether to ask for what comes after the last of them. Where the end
            was not looked for, the next page may be empty.
    """

    items: Sequence[ItemT]
    more: bool
