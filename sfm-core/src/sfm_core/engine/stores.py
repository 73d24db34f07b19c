"""What every part of the engine works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sfm_core.clock import Clock
from sfm_core.engine.index import Index
from sfm_core.protocols.cache import Cache
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.observer import UNOBSERVED, Observer
from sfm_core.protocols.vector import VectorStore
from sfm_core.settings import EngineSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Stores:
    """The open backends, the settings and the clock of one engine.

    Attributes:
        kv: The truth.
        vector: Vector store.
        graph: Graph store.
        cache: Cache and shared counters.
        sink: Event sink, if events leave the house.
        index: The index that belongs to the chosen embedder and text rule.
        settings: Settings of the engine.
        clock: Source of time.
        owner: Names this engine among all that share the truth.
        observer: Who is told of its work.
    """

    kv: KeyValueStore
    vector: VectorStore
    graph: GraphStore
    cache: Cache
    sink: EventSink | None
    index: Index
    settings: EngineSettings
    clock: Clock
    owner: str
    observer: Observer = UNOBSERVED


class Writable(Protocol):
    """What is needed of the stores to write to the truth."""

    @property
    def kv(self) -> KeyValueStore:
        """The truth."""
        ...

    @property
    def owner(self) -> str:
        """Names who commits among all that share the truth."""
        ...

    @property
    def settings(self) -> EngineSettings:
        """Settings of the engine."""
        ...

    @property
    def observer(self) -> Observer:
        """Who is told of commits."""
        ...
