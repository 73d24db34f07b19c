"""What a purge answers: for each store, what is gone and what remains."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol, TypeVar

from sfm_core.model.position import WritePosition


class PurgeState(StrEnum):
    """How far a store is with a purge."""

    REMOVED = "removed"
    """Nothing is left in it."""
    PENDING = "pending"
    """Something may be left, and will go without anybody's doing."""
    REMAINS = "remains"
    """Something may be left, which the memory cannot reach; the detail says until when."""


_FAR: Final[tuple[str, ...]] = (PurgeState.PENDING, PurgeState.REMAINS, PurgeState.REMOVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePurge:
    """How far one store is with a purge.

    Attributes:
        store: What it is: `all`, `truth`, `vectors`, `graph`, `cache`, `events`, `replicas`,
            `earlier_truths`, `exports` or `backups`.
        backend: Scheme of its backend; "" where it is none of this engine's.
        state: How far it is.
        detail: What is left and until when, in whole sentences.
    """

    store: str
    state: PurgeState
    backend: str = ""
    detail: str = ""


class _Row(Protocol):
    @property
    def store(self) -> str: ...

    @property
    def state(self) -> str: ...


RowT = TypeVar("RowT", bound=_Row)


def least_far(reports: Iterable[Sequence[RowT]]) -> tuple[RowT, ...]:
    """Make one report of several about the same stores.

    Args:
        reports: How far each store is with each purge.

    Returns:
        Of each store the row that is least far; nothing is said to be gone that is not.
    """
    rows: dict[str, RowT] = {}
    for row in (row for report in reports for row in report):
        known = rows.get(row.store)
        if known is None or _FAR.index(row.state) < _FAR.index(known.state):
            rows[row.store] = row
    return tuple(rows.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Purged:
    """What a purge has done.

    Attributes:
        count: How many memories had something in the truth that is gone now.
        position: What `wait_for` takes, to ask only when derived stores have followed.
        stores: What became of it in each store.
        again_at: When all stores are gone over once more, because a call that was under
            way may have brought something back.
    """

    count: int
    position: WritePosition
    stores: tuple[StorePurge, ...]
    again_at: datetime

    @property
    def pending(self) -> bool:
        """Whether something is still to be removed."""
        return any(store.state is PurgeState.PENDING for store in self.stores)
