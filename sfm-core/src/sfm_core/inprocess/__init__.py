"""The reference backend of every port: everything lives in this process.

They serve mode `test`, and the tests of other backends compare with them, so
they are exact and plain rather than fast.
"""

from __future__ import annotations

from sfm_core.inprocess.cache import CacheState, InProcessCache
from sfm_core.inprocess.embedder import HashingEmbedder
from sfm_core.inprocess.events import (
    EventStreamState,
    InProcessEventSink,
    InProcessEventSource,
)
from sfm_core.inprocess.graph import GraphState, InProcessGraphStore
from sfm_core.inprocess.kv import InProcessKeyValueStore, KeyValueState
from sfm_core.inprocess.vector import InProcessVectorStore, VectorState

__all__ = [
    "CacheState",
    "EventStreamState",
    "GraphState",
    "HashingEmbedder",
    "InProcessCache",
    "InProcessEventSink",
    "InProcessEventSource",
    "InProcessGraphStore",
    "InProcessKeyValueStore",
    "InProcessVectorStore",
    "KeyValueState",
    "VectorState",
]
