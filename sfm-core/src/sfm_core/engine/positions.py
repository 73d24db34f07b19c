"""Waiting until derived stores have followed certain writes, whoever has them follow.

A position names the outbox notes of its writes, and a note is acknowledged only
when everything has followed. So neither clocks nor the order of commits matter,
and a note of another write that cannot be followed holds nobody up.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sfm_core.engine.coalescer import Coalescer
from sfm_core.engine.indexes import Indexes
from sfm_core.engine.manifest import Manifest, peek_manifest
from sfm_core.engine.presence import Presence
from sfm_core.engine.stores import Stores
from sfm_core.errors import InvalidPositionError
from sfm_core.model.position import WritePosition, digest_of
from sfm_core.protocols import MAX_BATCH

AT_ONCE = 500
"""Notes of one waiter that are asked for at once; while one is left, the others can wait."""

FIRST_PAUSE_SECONDS = 1 / 64
LONGEST_PAUSE_SECONDS = 1 / 4
"""Pauses double and end at multiples of their length, so that who waits long asks together."""

SHORTEST_PAUSE = timedelta(milliseconds=1)


class Positions:
    """Makes positions of writes, and waits until they are reached."""

    def __init__(
        self, stores: Stores, manifest: Manifest, presence: Presence, indexes: Indexes
    ) -> None:
        """Speak for the truth of `stores`; `presence` hears of what becomes of `manifest`."""
        self._clock = stores.clock
        self._kv = stores.kv
        self._patience = stores.settings.index_wait
        self._manifest = manifest
        self._presence = presence
        self._indexes = indexes
        self._truth = digest_of(manifest.truth_id)
        self._nothing = WritePosition(truth=self._truth, epoch=manifest.epoch)
        self._coalescer: Coalescer[str, bool] = Coalescer(self._ask, max_batch=MAX_BATCH)

    def of(self, notes: Sequence[str]) -> WritePosition:
        """Return the position of writes that owe certain notes."""
        if not notes:
            return self._nothing
        return WritePosition(truth=self._truth, epoch=self._manifest.epoch, notes=tuple(notes))

    async def wait_for(self, positions: Sequence[WritePosition]) -> bool:
        """Wait until positions are reached; see `MemoryEngine.wait_for`."""
        ours = [one for one in positions if one.truth == self._truth]
        await self._refuse_from_the_future(ours)
        inherited = len(ours) < len(positions)
        if inherited:
            self._refuse_unknown(positions)
        notes = list(dict.fromkeys(note for one in ours for note in one.notes))
        end = self._clock.monotonic() + self._patience.total_seconds()
        pause = FIRST_PAUSE_SECONDS
        while True:
            notes = await self._left(notes)
            if not notes and not (inherited and (await self._indexes.current()).rebuilding):
                return True
            now = self._clock.monotonic()
            if now >= end:
                return False
            rest = timedelta(seconds=min(pause - now % pause, end - now))
            await self._clock.sleep(max(rest, SHORTEST_PAUSE))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def close(self) -> None:
        """Finish the questions in hand."""
        await self._coalescer.close()

    async def _left(self, notes: list[str]) -> list[str]:
        """Leave out notes that are worked off, as far as it takes to find one that is not."""
        while notes:
            asked = notes[:AT_ONCE]
            kept: list[str] = []
            for note, is_left in zip(asked, await self._coalescer.submit_many(asked), strict=True):
                if isinstance(is_left, BaseException):
                    raise is_left
                if is_left:
                    kept.append(note)
            notes = kept + notes[AT_ONCE:]
            if kept:
                break
        return notes

    async def _ask(self, notes: list[str]) -> Sequence[bool]:
        return await self._kv.outstanding(notes)

    async def _refuse_from_the_future(self, ours: Sequence[WritePosition]) -> None:
        """Refuse positions that this truth cannot have given: it is older than who has them."""
        newest = max((one.epoch for one in ours), default=0)
        if newest <= self._manifest.epoch:
            return
        # Another process may have changed it since this one has looked.
        manifest = await peek_manifest(self._kv)
        if manifest is None or newest > manifest.epoch:
            raise InvalidPositionError(
                "The position is newer than the truth, which may have been restored.",
                field="min_position",
                remedy="Leave it out: what was written there is not here.",
            )

    def _refuse_unknown(self, positions: Sequence[WritePosition]) -> None:
        """Refuse positions of truths that this one does not hold everything of.

        Those of a truth that it has taken over from are reached when derived
        stores are compared with what came from there.
        """
        manifest = self._presence.manifest or self._manifest
        held = {digest_of(truth): epoch for truth, epoch in manifest.lineage.items()}
        for one in positions:
            if one.truth != self._truth and held.get(one.truth, -1) < one.epoch:
                raise InvalidPositionError(
                    f"{str(one)[:80]!r} is of another truth than the one that is asked.",
                    field="min_position",
                    remedy="Leave it out: what was written there is not here.",
                )
