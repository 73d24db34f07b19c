"""Answers about memories that were purged."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sfm_server.schemas.memories import DeletedAnswer, DeletedManyAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class StorePurgeAnswer:
    """How far one store is with a purge.

    Attributes:
        store: What it is, such as `truth` or `backups`.
        backend: Scheme of its backend, or "".
        state: `removed`: nothing is left; `pending`: it will go; `remains`: out of reach.
        detail: What is left and until when.
    """

    store: str
    backend: str
    state: Literal["removed", "pending", "remains"]
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgedAnswer(DeletedAnswer):
    """How many memories were purged, and what is left of them where.

    Attributes:
        pending: Whether something is still to be removed, without anybody's doing.
        again_at: When all stores are gone over once more.
        stores: How far each store is.
    """

    pending: bool
    again_at: datetime
    stores: list[StorePurgeAnswer]


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgedManyAnswer(DeletedManyAnswer):
    """How many memories that were picked were purged, and what is left of them where.

    Attributes:
        pending: Whether something is still to be removed, without anybody's doing.
        again_at: When all stores are gone over once more.
        stores: How far each store is.
    """

    pending: bool
    again_at: datetime
    stores: list[StorePurgeAnswer]
