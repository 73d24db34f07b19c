"""The engine's face: every operation on memories and links, and nothing behind it."""

from __future__ import annotations

from sfm_core.engine.health import check_health
from sfm_core.engine.lag import read_lag
from sfm_core.engine.observed import observe_operations
from sfm_core.engine.operations.asking import Asking
from sfm_core.engine.operations.erasing import Erasing
from sfm_core.engine.operations.keeping import Keeping
from sfm_core.engine.operations.parts import Parts
from sfm_core.engine.operations.relating import Relating
from sfm_core.engine.operations.telling import Telling
from sfm_core.engine.operations.writing import Writing
from sfm_core.model.report import Health, Lag, Publication
from sfm_core.protocols.cache import Cache


class MemoryEngine(Writing, Erasing, Asking, Relating, Keeping, Telling):
    """An agent's memory. Open one with `sfm_core.engine.assembly.open_engine`.

    All methods may be called concurrently. Every method that takes a namespace
    raises `InvalidInputError` for one that is no name, and every method may
    raise `BackendUnavailableError` if the truth does not answer; a write may
    then have happened or not, and repeating it is safe.
    """

    def __init__(self, parts: Parts) -> None:
        """Work with parts that `open_engine` has put together."""
        super().__init__(parts)
        observe_operations(self, parts.stores.observer)

    @property
    def rebuilding(self) -> bool:
        """Whether a derived store is being built, or compared with the truth."""
        return self._parts.indexes.view.rebuilding

    @property
    def incomplete(self) -> bool:
        """Whether recall may miss memories: what it searches is built, or compared with the truth.

        As of the last look at the truth, which is not older than some seconds once
        something was recalled.
        """
        return self._parts.indexes.view.incomplete

    @property
    def superseded_by(self) -> str:
        """Where the truth is that has taken over from this one, as far as is known; "" if none."""
        successor = self._parts.presence.successor
        return successor.place if successor else ""

    @property
    def publication(self) -> Publication:
        """What this engine has published."""
        relay = self._parts.relay
        return relay.publication if relay else Publication()

    @property
    def cache(self) -> Cache:
        """The open cache, for counters that processes share."""
        return self._parts.stores.cache

    async def lag(self) -> Lag:
        """Tell how far what follows the truth is behind it.

        Returns:
            What waits for derived stores, and for the event sink.

        Raises:
            BackendError: The truth failed.
        """
        return await read_lag(self._parts.stores)

    async def health(self) -> Health:
        """Tell how every backend does; one that is down is an answer, not an error."""
        parts = self._parts
        return await check_health(
            parts.stores, parts.indexes.view, parts.shelving.known(), parts.presence
        )
