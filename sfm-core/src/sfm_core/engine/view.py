"""What one engine searches and keeps current, by its last look at the catalog."""

from __future__ import annotations

from dataclasses import dataclass

from sfm_core.engine.catalog import Catalog, Role
from sfm_core.engine.index import Index, WordIndex


@dataclass(frozen=True, slots=True)
class View:
    """What one engine does, by one look at the catalog.

    Attributes:
        catalog: What it saw.
        searched: The index that is searched.
        filler: A collection whose keyword arm finds what `searched` may lack.
        followed: The indexes that it keeps current, the searched one first.
        responsible: Whether these are all that anybody needs. If not, others
            have to follow a change too before it counts as followed.
    """

    catalog: Catalog
    searched: Index
    filler: WordIndex | None
    followed: tuple[Index, ...]
    responsible: bool

    @property
    def shared(self) -> bool:
        """Whether a recall may search another index that this engine keeps current.

        A collection that was being built at this look may serve others by now,
        and this engine from its next look on.
        """
        return len(self.followed) > 1

    @property
    def incomplete(self) -> bool:
        """Whether what is searched may lack memories: it is being built or compared with the truth.

        What another collection finds beside it helps, but it is not complete either.
        """
        record = self.catalog.find(self.searched.name)
        return record is None or not record.complete

    @property
    def rebuilding(self) -> bool:
        """Whether a derived store is being built or compared with the truth."""
        awaited = {Role.SERVING, Role.BUILDING}
        incomplete = any(r.role in awaited and not r.complete for r in self.catalog.active)
        return incomplete or not self.catalog.edges_complete
