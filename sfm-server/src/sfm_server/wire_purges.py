"""Turns what a purge has done into an answer."""

from __future__ import annotations

from collections.abc import Sequence

from sfm_core.model.purge import Purged, StorePurge, least_far
from sfm_server.schemas.memories import DeletedManyAnswer
from sfm_server.schemas.purges import PurgedAnswer, PurgedManyAnswer, StorePurgeAnswer


def purged(result: Purged) -> PurgedAnswer:
    """Describe a purge."""
    return PurgedAnswer(
        deleted=result.count,
        position=str(result.position),
        pending=result.pending,
        again_at=result.again_at,
        stores=stores(result.stores),
    )


def stores(report: Sequence[StorePurge]) -> list[StorePurgeAnswer]:
    """Describe how far stores are."""
    return [
        StorePurgeAnswer(
            store=one.store, backend=one.backend, state=one.state.value, detail=one.detail
        )
        for one in report
    ]


def purged_many(answer: DeletedManyAnswer, result: Purged) -> PurgedManyAnswer:
    """Describe a purge of what was picked.

    Args:
        answer: What was deleted.
        result: What became of it in each store.

    Returns:
        Both.
    """
    return PurgedManyAnswer(
        deleted=answer.deleted,
        position=answer.position,
        matched=answer.matched,
        examined=answer.examined,
        examples=answer.examples,
        next_cursor=answer.next_cursor,
        pending=result.pending,
        again_at=result.again_at,
        stores=stores(result.stores),
    )


def together(answers: Sequence[PurgedAnswer | PurgedManyAnswer]) -> PurgedAnswer:
    """Describe several purges as one.

    Args:
        answers: At least one. One that purged nothing tells of no store.

    Returns:
        Their sum, in which a store is as far as it is in the one that is least far.
    """
    return PurgedAnswer(
        deleted=sum(one.deleted for one in answers),
        position=",".join(one.position for one in answers if one.position),
        pending=any(one.pending for one in answers),
        again_at=answers[-1].again_at,
        stores=list(least_far(one.stores for one in answers)),
    )
