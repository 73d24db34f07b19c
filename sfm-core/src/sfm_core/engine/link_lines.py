"""Which links of an import are written, and which are there or belong to what is gone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sfm_core.engine.truth import LinkState
from sfm_core.model.record import MemoryRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class BroughtLink:
    """What a line of an import says of a link, beside what it links and how.

    Attributes:
        version: The version to restore; `None` for a link that is to be as the line says.
        lives: When the life of the source and that of the target began, where that is
            told. It is the same in every copy of a memory, as the version is not.
    """

    version: int | None = None
    lives: tuple[datetime | None, datetime | None] = (None, None)

    def is_over(self, ends: Sequence[MemoryRecord | None], now: datetime) -> bool:
        """Tell whether an end does not live any more, or not the life that the link belongs to.

        Args:
            ends: What the truth says of source and target.
            now: The time.

        Returns:
            Whether the link is to be passed over. Of an end of which neither the line nor
            the truth tells anything it is not: such a line is wrong.
        """
        return any(
            self._ended(end, since, now) for end, since in zip(ends, self.lives, strict=True)
        )

    def _ended(self, end: MemoryRecord | None, since: datetime | None, now: datetime) -> bool:
        if since is not None:
            return end is None or not end.alive(now) or end.created_at != since
        return self.version is not None and end is not None and not end.alive(now)

    def is_there(self, state: LinkState, born: Sequence[int], weight: float) -> bool:
        """Tell whether there is nothing to write.

        Args:
            state: What the truth says of the link.
            born: The versions that the lives of source and target began with.
            weight: The weight that the line says.

        Returns:
            Whether the link is there, in this version or a later one, or of this weight.
        """
        record = state.record
        if record is None or record.deleted:
            return False
        if [record.source_born, record.target_born] != list(born):
            return False
        if self.version is None:
            return record.weight == weight
        return state.version >= self.version
