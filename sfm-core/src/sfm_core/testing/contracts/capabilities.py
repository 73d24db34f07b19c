"""The contract of what a backend says it can do beyond its port."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from heapq import heappop, heappush
from pathlib import Path
from random import Random
from typing import Final

import pytest

from sfm_core.engine.opening import BackendMaker
from sfm_core.errors import ConfigurationError, SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.protocols.graph import Edge, EdgeId, GraphStore
from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.optional import (
    SupportsMaintenance,
    SupportsScrubbing,
    SupportsShortestPath,
)
from sfm_core.registry import (
    LOCAL,
    BackendContext,
    PortName,
    Registration,
    Registry,
)
from sfm_core.resilience import Policy
from sfm_core.resilience.wrapper import ResilientBackend
from sfm_core.testing.contracts._base import fresh_namespace
from sfm_core.testing.contracts._marks import MARKS
from sfm_core.testing.samples import coordinate

_NODES: Final = 12
# Four times this is just below the largest weight, and sums of it are exact.
_HEAVY: Final = 2.0**330


class CapabilityContract:
    """Each capability both ways: what is declared must hold, what is not must not be relied on.

    Override `registration` and `url`; the data under the URL are empty. What
    `new_context` returns has no options, so a URL that needs some overrides it.
    """

    pytestmark = pytest.mark.asyncio

    @pytest.fixture
    def registration(self) -> Registration[Backend]:
        """Return what the plugin registers; the subclass gives it.

        Raises:
            NotImplementedError: The subclass does not say what.
        """
        raise NotImplementedError("Override the fixture `registration` in your subclass.")

    @pytest.fixture
    def url(self) -> str:
        """Return the URL under which to test; the subclass gives it.

        Raises:
            NotImplementedError: The subclass does not say which.
        """
        raise NotImplementedError("Override the fixture `url` in your subclass.")

    @pytest.fixture
    def new_context(self, tmp_path: Path) -> Callable[[], BackendContext]:
        """Return what makes contexts, as each process has one of its own."""
        return lambda: BackendContext(data_folder=tmp_path)

    @pytest.fixture
    def made(
        self,
        registration: Registration[Backend],
        url: str,
        new_context: Callable[[], BackendContext],
    ) -> Backend:
        """Return a backend as the engine would use it, not open yet."""
        return _as_the_engine_does(registration, url, new_context())

    async def test_where_security_is_required_it_is_held_to_it_or_refused(
        self, registration: Registration[Backend], tmp_path: Path
    ) -> None:
        """`secure`: without credentials it refuses to be made, and names the setting.

        Without the capability the engine refuses it, unless it is `local`. What
        is made all the same has nothing to encrypt: it connects to nothing.
        """
        context = BackendContext(data_folder=tmp_path, secure=True)
        try:
            made = _as_the_engine_does(registration, f"{registration.scheme}:", context)
        except ConfigurationError as refusal:
            told = (refusal.setting, refusal.remedy)
        else:
            await _connects_to_nothing(made)
            return
        assert all(told)

    async def test_the_engine_is_patient_with_all_that_is_not_local(
        self, registration: Registration[Backend], made: Backend
    ) -> None:
        """Deadlines, repetitions and a breaker stand around it, or it needs none of them."""
        assert isinstance(made, ResilientBackend) is (LOCAL not in registration.capabilities)

    async def test_a_local_backend_connects_to_nothing(
        self, registration: Registration[Backend], made: Backend
    ) -> None:
        """`local`: it works inside the process or on its own disk only."""
        if LOCAL not in registration.capabilities:
            pytest.skip("It is not declared to be local.")
        with _watched_connections() as connections:
            async with made:
                await made.ping()
                if registration.port in MARKS:
                    leave, find = MARKS[registration.port]
                    await leave(made, fresh_namespace())
                    await find(made, fresh_namespace())
        assert connections == []

    async def test_another_process_sees_its_data_exactly_if_it_says_so(
        self,
        registration: Registration[Backend],
        url: str,
        new_context: Callable[[], BackendContext],
    ) -> None:
        """`shared`: what one has written, the other finds; else it does not, or is refused."""
        if registration.port not in MARKS:
            pytest.skip(f"The {registration.port} port keeps nothing that can be read back.")
        leave, find = MARKS[registration.port]
        namespace = fresh_namespace()
        one, other = (registration.factory(url, new_context()) for _ in range(2))
        async with one:
            await leave(one, namespace)
            if one.shared:
                async with other:
                    assert await find(other, namespace)
            else:
                assert not await _found_if_it_opens(other, namespace, registration.port)

    async def test_what_one_process_has_closed_another_can_open(
        self,
        registration: Registration[Backend],
        url: str,
        new_context: Callable[[], BackendContext],
    ) -> None:
        """No lock and no connection of the first one stands in the way of the second."""
        for _ in range(2):
            async with registration.factory(url, new_context()) as backend:
                await backend.ping()

    async def test_upkeep_changes_nothing_or_is_not_offered(
        self, registration: Registration[Backend], made: Backend
    ) -> None:
        """`SupportsMaintenance`: it can be called at any time, and again at once."""
        async with made:
            if not isinstance(made, SupportsMaintenance):
                # Nor does what the engine puts around it hide that there is some.
                assert not isinstance(getattr(made, "inner", made), SupportsMaintenance)
                return
            namespace = fresh_namespace()
            if registration.port in MARKS:
                await MARKS[registration.port][0](made, namespace)
            for _ in range(2):
                await made.maintain()
            if registration.port in MARKS:
                assert await MARKS[registration.port][1](made, namespace)

    async def test_scrubbing_changes_nothing_that_is_shown_or_is_not_offered(
        self, registration: Registration[Backend], made: Backend
    ) -> None:
        """`SupportsScrubbing`: it can be called at any time, and again at once."""
        async with made:
            if not isinstance(made, SupportsScrubbing):
                # Nor does what the engine puts around it hide that it can.
                assert not isinstance(getattr(made, "inner", made), SupportsScrubbing)
                return
            namespace = fresh_namespace()
            if registration.port in MARKS:
                await MARKS[registration.port][0](made, namespace)
            there = [coordinate(1.0), coordinate(2.0)]
            both = {namespace: there, f"{namespace}2": there}
            for places in (both, both, {}):
                left = await made.scrub(places)
                assert left == left.strip()
            if registration.port in MARKS:
                assert await MARKS[registration.port][1](made, namespace)

    async def test_shortest_paths_are_shortest_or_not_offered(
        self, registration: Registration[Backend], made: Backend
    ) -> None:
        """`SupportsShortestPath`: no path is lighter, none is missed, and types count."""
        if registration.port is not PortName.GRAPH:
            pytest.skip("Only a graph store has paths.")
        async with made:
            if not isinstance(made, SupportsShortestPath):
                assert not isinstance(getattr(made, "inner", made), SupportsShortestPath)
                return
            for unit in (1.0, _HEAVY):
                await _compare_paths(made, unit)


def _as_the_engine_does(
    registration: Registration[Backend], url: str, context: BackendContext
) -> Backend:
    registry = Registry()
    registry.add(registration)
    maker = BackendMaker(registry, context, Policy())
    make: Callable[[str], Backend] = getattr(maker, registration.port)
    return make(url)


async def _connects_to_nothing(made: Backend) -> None:
    with _watched_connections() as connections, suppress(SfmError):
        async with made:
            await made.ping()
    assert connections == []


async def _found_if_it_opens(backend: Backend, namespace: str, port: PortName) -> bool:
    try:
        async with backend:
            return await MARKS[port][1](backend, namespace)
    except ConfigurationError:
        # It says that somebody else has the data.
        return False


class _Watch:
    """The interpreter keeps an audit hook for ever, so there is one, which mostly looks away."""

    def __init__(self) -> None:
        self.seen: list[str] | None = None
        self.installed = False

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        # The address of the network is a tuple, that of a socket in the file system is none.
        if self.seen is not None and event == "socket.connect" and isinstance(arguments[1], tuple):
            self.seen.append(str(arguments))


_watch = _Watch()


@contextmanager
def _watched_connections() -> Generator[list[str]]:
    """Collect the addresses of the network that this process connects to."""
    if not _watch.installed:
        sys.addaudithook(_watch)
        _watch.installed = True
    seen: list[str] = []
    _watch.seen = seen
    try:
        yield seen
    finally:
        _watch.seen = None


async def _compare_paths(made: Backend, unit: float) -> None:
    assert isinstance(made, SupportsShortestPath)
    random, namespace = Random(7), fresh_namespace()
    nodes = [coordinate(float(number)) for number in range(_NODES)]
    edges = [
        Edge(
            id=EdgeId(source=source, type=kind, target=target),
            weight=random.randint(0, 4) * unit,
            version=1,
        )
        for source in nodes
        for target in nodes
        for kind in ("a", "b")
        if random.random() < 0.08
    ]
    store: GraphStore = made  # type: ignore[assignment] # pyright: ignore[reportAssignmentType]
    await store.apply(namespace, upserts=edges)
    for kind in (None, "a"):
        usable = [edge for edge in edges if kind in {None, edge.id.type}]
        for start in nodes:
            costs = _costs(usable, start)
            for end in nodes:
                found = await made.shortest_path(
                    namespace, start, end, link_type=kind, max_nodes=1000
                )
                assert _cost_of(found, usable, start, end) == costs.get(end)


def _cost_of(
    path: list[EdgeId] | None, edges: list[Edge], start: Coordinate, end: Coordinate
) -> float | None:
    """Return what a path costs, after a look at whether it is one."""
    if path is None:
        return None
    weights = {edge.id: edge.weight for edge in edges}
    assert [start, *(step.target for step in path)] == [*(step.source for step in path), end]
    return sum(weights[step] for step in path)


def _costs(edges: list[Edge], start: Coordinate) -> dict[Coordinate, float]:
    """Return what it costs to reach each node that can be reached."""
    done: dict[Coordinate, float] = {}
    waiting = [(0.0, start.key, start)]
    while waiting:
        cost, _, node = heappop(waiting)
        if node in done:
            continue
        done[node] = cost
        for edge in edges:
            if edge.id.source == node:
                heappush(waiting, (cost + edge.weight, edge.id.target.key, edge.id.target))
    return done
