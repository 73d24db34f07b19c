"""Letting go of what was answered under idempotency keys whose time is over."""

from __future__ import annotations

from collections.abc import Sequence

from sfm_core.engine.changes import Change, Planned, View
from sfm_core.engine.committer import Committer
from sfm_core.engine.stores import Stores
from sfm_core.engine.walking import pages_of
from sfm_core.model.keys import (
    KeyRange,
    answer_key,
    ended_answers,
    ended_digest,
    milliseconds_of,
)
from sfm_core.protocols.kv import Commit, Write

PAGE = 500
FEW = 8
"""Answers of one key that are read along with those of other keys."""


class AnswerKeeper:
    """Removes kept answers from the truth when they do not count any more."""

    def __init__(self, stores: Stores, committer: Committer) -> None:
        """Remove through `committer`."""
        self._stores = stores
        self._committer = committer

    async def sweep(self, namespace: str) -> None:
        """Remove the answers of a namespace whose time is over.

        Args:
            namespace: Where to look.

        Raises:
            BackendError: A backend failed; some may be removed.
        """
        full = True
        while full:
            now = milliseconds_of(self._stores.clock.now())
            [due] = await self._stores.kv.scan(namespace, [ended_answers(now)], limit=PAGE)
            ranges = [KeyRange.prefix(answer_key(ended_digest(key))) for key, _ in due]
            found = await self._stores.kv.scan(namespace, ranges, limit=FEW)
            changes: list[Change] = []
            for (listing, _), answers in zip(due, found, strict=True):
                if len(answers) == FEW:
                    await self._remove_many(namespace, listing, now)
                keys = [key for key, _ in answers] if len(answers) < FEW else []
                changes.append(_removal(namespace, [*keys, listing], now))
            await self._committer.commit_all(changes)
            full = len(due) == PAGE

    async def _remove_many(self, namespace: str, listing: bytes, now: int) -> None:
        prefix = answer_key(ended_digest(listing))
        async for page in pages_of(self._stores.kv, namespace, prefix):
            await self._committer.commit(_removal(namespace, [key for key, _ in page], now))


def _removal(namespace: str, keys: Sequence[bytes], now: int) -> Change:
    """Remove what is over by then; what is listed as over has 1 for its version."""

    def plan(view: View) -> Planned:
        over = [key for key in keys if (entry := view[key]) and entry.version <= now]
        if not over:
            return Planned(commit=None, version=0)
        writes = tuple(Write(key, None) for key in over)
        return Planned(commit=Commit(namespace=namespace, writes=writes), version=0)

    return Change(namespace=namespace, keys=tuple(keys), plan=plan)
