"""What a backend may offer beyond its port. The engine asks with `isinstance`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.graph import EdgeId


@runtime_checkable
class SupportsShortestPath(Protocol):
    """A graph store that finds shortest paths by itself."""

    async def shortest_path(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        link_type: str | None,
        max_nodes: int,
    ) -> list[EdgeId] | None:
        """Find the path with the least sum of weights.

        Args:
            namespace: Where to look.
            source: Where the path starts.
            target: Where it ends.
            link_type: Only links of this type.
            max_nodes: How many nodes may be nearer to the source than what is
                still to be looked at, before it gives up.

        Returns:
            The edges from source to target, in order, empty where these are
            one; `None` where there is no path. Of several edges between two
            nodes it is the one that counts: the engine looks for it in the truth.

        Raises:
            LimitExceededError: `max_nodes` were not enough to tell.
            UnsupportedError: It cannot be done here; the engine searches by itself.
            BackendUnavailableError: The store was not reached before the deadline.
        """
        ...


@runtime_checkable
class SupportsMaintenance(Protocol):
    """A backend with upkeep to do while nobody waits, such as compacting or snapshots."""

    async def maintain(self) -> None:
        """Do what is due; return soon where nothing is.

        Raises:
            BackendError: It failed; the next call tries again.
        """
        ...


@runtime_checkable
class SupportsScrubbing(Protocol):
    """A backend that can let go of what it keeps of memories beyond what its port shows.

    That is what was removed or replaced, and is still in its files; for an event
    sink, what was set aside as dead letters.
    """

    async def scrub(self, places: Mapping[str, Sequence[Coordinate]]) -> str:
        """Let go of what is kept of memories that were removed.

        Args:
            places: Where they lived, by namespace: at most `MAX_BATCH` coordinates in all.
                What is at one now, if anything, is left as it is.

        Returns:
            What may be left all the same, and until when, in whole sentences; "" where
            nothing is.

        Raises:
            BackendError: It failed; a later call does it.

        Guarantees:
            Idempotent, and safe at any time: what the port shows does not change. It may
            take as long as rewriting everything, while writes wait, and hardly longer for
            many places than for one.
        """
        ...


@runtime_checkable
class SupportsWaking(Protocol):
    """A key-value store that can tell when another process has left work in it."""

    async def wait_for_work(self) -> None:
        """Wait until there may be events to publish, or notes to follow up.

        One caller at a time. It may return although there is nothing to do, and
        it may miss something: whoever waits looks from time to time all the same.

        Raises:
            BackendUnavailableError: The store was lost; a later call waits anew.
            UnsupportedError: It cannot tell here, nor will it later.

        Guarantees:
            A cancelled call does no harm.
        """
        ...
