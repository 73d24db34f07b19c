"""How the graph store follows the links in the truth."""

from __future__ import annotations

from collections.abc import Sequence

from sfm_core.engine.chasing import chase
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth, link_alive
from sfm_core.model.keys import parse_link_key
from sfm_core.protocols.graph import Edge, EdgeId


class LinkFollower:
    """Makes edges say what the truth says of links."""

    def __init__(self, stores: Stores, truth: Truth) -> None:
        """Follow `truth` into the graph store."""
        self._stores = stores
        self._truth = truth

    async def follow(self, namespace: str, keys: Sequence[bytes]) -> None:
        """Apply what the truth says, until none of it has changed meanwhile.

        Args:
            namespace: Where the links are.
            keys: Their keys.

        Raises:
            BackendError: A backend failed, or links change all the time; part of it may
                be applied.
        """
        await chase(
            keys,
            lambda todo: self.apply(namespace, todo),
            backend=self._stores.kv.scheme,
        )

    async def apply(self, namespace: str, keys: Sequence[bytes]) -> list[bytes]:
        """Apply what the truth says now.

        Args:
            namespace: Where the links are.
            keys: Their keys.

        Returns:
            Keys of links that changed meanwhile and have to be applied again.

        Raises:
            BackendError: A backend failed; part of it may be applied.
        """
        # Before it reads: what is over by then, nobody has made last longer since.
        now = self._stores.clock.now()
        states = await self._truth.links(namespace, keys)
        ids = [EdgeId(source=s, type=t, target=d) for s, t, d in map(parse_link_key, keys)]
        ends = await self._truth.link_ends(namespace, keys)
        upserts: list[Edge] = []
        deletes: list[EdgeId] = []
        for edge, state, (source, target) in zip(ids, states, ends, strict=True):
            if state.record is not None and link_alive(state.record, source, target, now):
                upserts.append(Edge(id=edge, weight=state.record.weight, version=state.version))
            else:
                deletes.append(edge)
        await self._stores.graph.apply(namespace, upserts=upserts, deletes=deletes)
        entries = await self._truth.entries(namespace, keys)
        return [
            key
            for key, state, entry in zip(keys, states, entries, strict=True)
            if state.version != (entry.version if entry else 0)
        ]
