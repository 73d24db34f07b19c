"""The contract of a store that says what it cannot do, and cannot do it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sfm_core.errors import InvalidFilterError
from sfm_core.inprocess import GraphState, InProcessGraphStore, InProcessVectorStore, VectorState
from sfm_core.model.filters import AllOf, AnyOf, Contains, Filter, Negation
from sfm_core.protocols.vector import Collection, SearchResult, VectorQuery
from sfm_core.testing.contracts import GraphStoreContract, VectorStoreContract


class ModestVectorStore(InProcessVectorStore):
    """Forgets everything when closed, knows no `$contains`, and scores hits in one arm only."""

    def __init__(self, state: VectorState) -> None:
        super().__init__(state=state)
        self._held = state

    async def search(
        self, collection: Collection, queries: Sequence[VectorQuery]
    ) -> list[SearchResult]:
        if any(query.filter and _contains(query.filter) for query in queries):
            raise InvalidFilterError("There is no $contains here.", field="filters")
        found = await super().search(collection, queries)
        return [
            SearchResult(hits=tuple(replace(hit, keyword=hit.keyword or None) for hit in one.hits))
            for one in found
        ]

    async def __aexit__(self, *_: object) -> None:
        for collection in self._held.collections():
            self._held.drop(collection)
        await super().__aexit__(None, None, None)


class TestModestVectorStore(VectorStoreContract):
    shared = False
    persistent = False
    scores_both_arms = False
    unsupported_operators = frozenset({"$contains"})

    @pytest.fixture
    def make(self) -> Callable[[], ModestVectorStore]:
        state = VectorState()
        return lambda: ModestVectorStore(state)


class ForgetfulGraphStore(InProcessGraphStore):
    """Forgets everything when closed."""

    def __init__(self, state: GraphState) -> None:
        super().__init__(state=state)
        self._held = state

    async def __aexit__(self, *_: object) -> None:
        self._held.clear()
        await super().__aexit__(None, None, None)


class TestForgetfulGraphStore(GraphStoreContract):
    shared = False
    persistent = False

    @pytest.fixture
    def make(self) -> Callable[[], ForgetfulGraphStore]:
        state = GraphState()
        return lambda: ForgetfulGraphStore(state)


@pytest.mark.parametrize("mode", ["auto", "strict"])
def test_the_kit_runs_in_either_mode_of_pytest_asyncio(mode: str) -> None:
    suite = Path(__file__).parent.parent / "inprocess" / "test_inprocess_cache.py"
    options = ["-q", "-p", "no:cacheprovider", "-o", f"asyncio_mode={mode}", "-k", "TestInProcess"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", str(suite), *options],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout
    assert " passed" in run.stdout


def _contains(condition: Filter) -> bool:
    match condition:
        case AllOf(parts) | AnyOf(parts):
            return any(map(_contains, parts))
        case Negation(part):
            return _contains(part)
        case _:
            return isinstance(condition, Contains)
