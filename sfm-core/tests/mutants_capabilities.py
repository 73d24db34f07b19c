"""Graph stores that say of themselves what is not so.

Each is listed with the test that has to fail.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, Self

from sfm_core.errors import ConfigurationError
from sfm_core.inprocess import GraphState, InProcessGraphStore
from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.graph import EdgeId
from sfm_core.registry import LOCAL, SECURE, BackendContext, PortName, Registration


class ModestGraph(InProcessGraphStore):
    """Says nothing but what is so."""

    capabilities: ClassVar[frozenset[str]] = frozenset({LOCAL})

    @classmethod
    def made(cls, url: str, context: BackendContext) -> Self:
        return cls(state=context.share(f"modest {url}", GraphState))

    @classmethod
    def registration(cls) -> Registration[InProcessGraphStore]:
        return Registration(
            port=PortName.GRAPH,
            scheme="modest",
            factory=cls.made,
            summary="",
            capabilities=cls.capabilities,
            distribution="tests",
        )


class SaysItIsSecure(ModestGraph):
    capabilities = frozenset({SECURE})

    async def ping(self) -> None:
        with suppress(OSError):
            await asyncio.open_connection("127.0.0.1", 1)


class SaysItIsLocal(ModestGraph):
    async def ping(self) -> None:
        with suppress(OSError):
            await asyncio.open_connection("127.0.0.1", 1)


class SaysItIsShared(ModestGraph):
    def __init__(self, *, state: GraphState) -> None:
        super().__init__(state=state)
        self.shared = True


class HidesThatItIsShared(ModestGraph):
    states: ClassVar[dict[str, GraphState]] = {}

    @classmethod
    def made(cls, url: str, context: BackendContext) -> Self:
        return cls(state=cls.states.setdefault(f"{url} {context.data_folder}", GraphState()))


class KeepsItsLockWhenClosed(ModestGraph):
    locked: ClassVar[set[Path]] = set()

    @classmethod
    def made(cls, url: str, context: BackendContext) -> Self:
        made = super().made(url, context)
        made.folder = context.data_folder
        return made

    def __init__(self, *, state: GraphState) -> None:
        super().__init__(state=state)
        self.folder = Path()

    async def __aenter__(self) -> Self:
        if self.folder in self.locked:
            raise ConfigurationError(f"{self.folder} is in use.")
        self.locked.add(self.folder)
        return await super().__aenter__()


class UpkeepLosesEverything(ModestGraph):
    def __init__(self, *, state: GraphState) -> None:
        super().__init__(state=state)
        self.held = state

    async def maintain(self) -> None:
        self.held.clear()


class ScrubbingLosesEverything(ModestGraph):
    def __init__(self, *, state: GraphState) -> None:
        super().__init__(state=state)
        self.held = state

    async def scrub(self, places: Mapping[str, Sequence[Coordinate]]) -> str:  # noqa: ARG002 - the protocol's
        self.held.clear()
        return ""


class TakesTheFewestSteps(ModestGraph):
    async def shortest_path(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        link_type: str | None,
        max_nodes: int,
    ) -> list[EdgeId] | None:
        paths: dict[Coordinate, list[EdgeId]] = {source: []}
        waiting = [source]
        while waiting:
            node = waiting.pop(0)
            [edges] = await self.neighbors(namespace, [node], link_type=link_type, limit=max_nodes)
            for edge in edges:
                if edge.id.target not in paths:
                    paths[edge.id.target] = [*paths[node], edge.id]
                    waiting.append(edge.id.target)
        return paths.get(target)


class IgnoresTheTypeOfLinks(ModestGraph):
    async def shortest_path(
        self,
        namespace: str,
        source: Coordinate,
        target: Coordinate,
        *,
        link_type: str | None,
        max_nodes: int,
    ) -> list[EdgeId] | None:
        edges = await self.scroll(namespace, after=None, limit=max_nodes)
        found: dict[Coordinate, tuple[float, list[EdgeId]]] = {source: (0.0, [])}
        for _ in range(len(edges) if link_type is not None or edges else 0):
            for edge in edges:
                if edge.id.source in found:
                    cost, path = found[edge.id.source]
                    if edge.id.target not in found or found[edge.id.target][0] > cost + edge.weight:
                        found[edge.id.target] = (cost + edge.weight, [*path, edge.id])
        return found[target][1] if target in found else None


CAPABILITY_MUTANTS: dict[type, str] = {
    SaysItIsSecure: "test_where_security_is_required_it_is_held_to_it_or_refused",
    SaysItIsLocal: "test_a_local_backend_connects_to_nothing",
    SaysItIsShared: "test_another_process_sees_its_data_exactly_if_it_says_so",
    HidesThatItIsShared: "test_another_process_sees_its_data_exactly_if_it_says_so",
    KeepsItsLockWhenClosed: "test_what_one_process_has_closed_another_can_open",
    UpkeepLosesEverything: "test_upkeep_changes_nothing_or_is_not_offered",
    ScrubbingLosesEverything: "test_scrubbing_changes_nothing_that_is_shown_or_is_not_offered",
    TakesTheFewestSteps: "test_shortest_paths_are_shortest_or_not_offered",
    IgnoresTheTypeOfLinks: "test_shortest_paths_are_shortest_or_not_offered",
}
