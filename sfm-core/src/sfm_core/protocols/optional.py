"""What a backend may offer beyond its port. The engine asks with `isinstance`."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from sfm_core.model.coordinate import Coordinate


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
    ) -> list[Coordinate] | None:
        """Find the path with the least sum of weights.

        Args:
            namespace: Where to look.
            source: Where the path starts.
            target: Where it ends.
            link_type: Only links of this type.
            max_nodes: How many nodes to look at before giving up.

        Returns:
            The coordinates from source to target, both included; `None` where
            there is no path.

        Raises:
            LimitExceededError: `max_nodes` were not enough to tell.
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
