"""An ordeal notices a backend that breaks the engine's word, and tells so."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import pytest
from mutants_points import StaleDelete

from sfm_core.inprocess import (
    EventStreamState,
    GraphState,
    InProcessEventSink,
    InProcessGraphStore,
    InProcessKeyValueStore,
    KeyValueState,
    VectorState,
)
from sfm_core.model.events import Event
from sfm_core.protocols.graph import Edge, EdgeId
from sfm_core.protocols.kv import Commit, CommitResult, Committed, DirtyNote
from sfm_core.registry import PortName
from sfm_core.testing.faults import Fault
from sfm_core.testing.ordeals import undergo


class LosesCommits(InProcessKeyValueStore):
    """Acknowledges a commit now and then that it does not carry out."""

    commits = 0

    async def commit(
        self, commits: Sequence[Commit], *, owner: str, lease: timedelta
    ) -> list[CommitResult]:
        # Those of the engine's own upkeep come whenever they come, and note nothing.
        self.commits += any(commit.dirty for commit in commits)
        if self.commits % 4 == 3:
            return list(map(_said, commits))
        return await super().commit(commits, owner=owner, lease=lease)


def _said(commit: Commit) -> Committed:
    notes = (DirtyNote(id="0", namespace=commit.namespace, key=key) for key in commit.dirty)
    return Committed(notes=tuple(notes))


class KeepsEveryEdge(InProcessGraphStore):
    async def apply(
        self,
        namespace: str,
        *,
        upserts: Sequence[Edge] = (),
        deletes: Sequence[EdgeId] = (),  # noqa: ARG002 - that is what is wrong
    ) -> None:
        await super().apply(namespace, upserts=upserts)


async def test_a_truth_that_loses_commits_is_noticed() -> None:
    state = KeyValueState()
    with pytest.raises(AssertionError):
        await undergo(PortName.KV, Fault.DELAY, {PortName.KV: lambda: LosesCommits(state=state)})


async def test_a_vector_store_that_deletes_nothing_is_noticed() -> None:
    state = VectorState()
    makers = {PortName.VECTOR: lambda: StaleDelete(state=state)}
    with pytest.raises(AssertionError, match="orphans"):
        await undergo(PortName.VECTOR, Fault.DELAY, makers)


async def test_a_graph_that_keeps_every_edge_is_noticed() -> None:
    state = GraphState()
    makers = {PortName.GRAPH: lambda: KeepsEveryEdge(state=state)}
    with pytest.raises(AssertionError, match="links_orphaned"):
        await undergo(PortName.GRAPH, Fault.DELAY, makers, operations=200)


async def test_faults_that_strike_nothing_prove_nothing() -> None:
    with pytest.raises(AssertionError, match="more operations"):
        await undergo(PortName.EVENTS, Fault.ERROR, operations=1, rate=1e-9)


async def test_an_event_sink_of_ones_own_is_used() -> None:
    state = EventStreamState()
    makers = {PortName.EVENTS: lambda: InProcessEventSink(state=state)}
    await undergo(PortName.EVENTS, Fault.DUPLICATE, makers)
    async with InProcessEventSink(state=state) as sink:
        found: list[Event] = list(sink.events)
    assert found
