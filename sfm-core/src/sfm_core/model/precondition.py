"""What must be so for a write to happen, told by revisions of the memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ANY: Final = "*"
"""In place of revisions: whichever the memory is at, as long as there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Precondition:
    """What a memory must or must not be for a write to happen; see `Memory.revision`.

    Attributes:
        match: Revisions of which the memory must be at one, or `ANY`; empty demands nothing.
        none_match: Revisions of which it must be at none, or `ANY`: it must not exist.
    """

    match: frozenset[str] = frozenset()
    none_match: frozenset[str] = frozenset()

    def holds(self, revision: str) -> bool:
        """Tell whether a memory at `revision` is as demanded; "" stands for "there is none"."""
        return (not self.match or _among(revision, self.match)) and not (
            self.none_match and _among(revision, self.none_match)
        )


def _among(revision: str, revisions: frozenset[str]) -> bool:
    return bool(revision) and (ANY in revisions or revision in revisions)
