"""What every part of the engine works with."""

from __future__ import annotations

from dataclasses import dataclass

from sfm_core.clock import Clock
from sfm_core.protocols.cache import Cache
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.vector import Collection, VectorStore
from sfm_core.settings import EngineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The open backends, the settings and the clock of one engine.

    Attributes:
        kv: The truth.
        vector: Vector store.
        graph: Graph store.
        cache: Cache and shared counters.
        embedder: Embedder.
        sink: Event sink, if events leave the house.
        collection: The collection that belongs to embedder and text rule.
        settings: Settings of the engine.
        clock: Source of time.
        owner: Names this engine among all that share the truth.
    """

    kv: KeyValueStore
    vector: VectorStore
    graph: GraphStore
    cache: Cache
    embedder: Embedder
    sink: EventSink | None
    collection: Collection
    settings: EngineSettings
    clock: Clock
    owner: str
