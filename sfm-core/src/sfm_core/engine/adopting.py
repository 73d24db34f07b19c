"""Following up outbox notes that nobody holds."""

from __future__ import annotations

from sfm_core.engine.indexer import Indexer, Task
from sfm_core.engine.indexes import Indexes
from sfm_core.engine.presence import Presence
from sfm_core.engine.stores import Stores
from sfm_core.errors import BackendUnavailableError
from sfm_core.protocols.kv import DirtyNote

CLAIM_PAGE = 500


class Adopting:
    """Takes over notes of dead processes, of failed tries and of writers that leave them."""

    def __init__(
        self, stores: Stores, indexes: Indexes, indexer: Indexer, presence: Presence
    ) -> None:
        """Have `indexer` follow what is claimed, while `presence` has the right to."""
        self._stores = stores
        self._indexes = indexes
        self._indexer = indexer
        self._presence = presence

    async def adopt(self) -> int:
        """Take over what nobody holds; what cannot be followed yet is left for later.

        An engine that leaves indexing to others takes over nothing.

        Returns:
            How many notes were taken over.

        Raises:
            BackendError: The truth did not answer.
        """
        adopted = 0
        if not self._stores.settings.inline:
            return adopted
        while notes := await self._claim():
            adopted += len(notes)
            if not await self._follow(notes) or len(notes) < CLAIM_PAGE:
                break
        return adopted

    async def follow_up(self) -> int:
        """Take over what nobody holds, and see that it is followed.

        Returns:
            How many notes were worked off.

        Raises:
            SupersededError: Another truth has taken over from this one.
            BackendUnavailableError: The truth did not answer, or a derived
                store cannot follow; what is owed stays noted.
        """
        self._presence.refuse_if_stopped()
        followed = 0
        while notes := await self._claim():
            if not await self._follow(notes):
                raise BackendUnavailableError(
                    "Derived stores cannot follow yet; the log says why.",
                    backend=self._stores.vector.scheme,
                )
            followed += len(notes)
            if len(notes) < CLAIM_PAGE:
                break
        return followed

    async def _claim(self) -> list[DirtyNote]:
        if not (await self._indexes.current()).responsible:
            # Those who can have all collections follow must find the notes.
            return []
        stores = self._stores
        return await stores.kv.claim(
            owner=stores.owner, limit=CLAIM_PAGE, lease=stores.settings.lease
        )

    async def _follow(self, notes: list[DirtyNote]) -> bool:
        return bool(await self._indexer.follow([Task(note, claimed=True) for note in notes]))
