"""A plugin whose backends live in memory and fail as they are told to."""

from __future__ import annotations

from dataclasses import dataclass, field

from sfm_core.hookspecs import hookimpl
from sfm_core.inprocess.embedder import HashingEmbedder
from sfm_core.inprocess.kv import InProcessKeyValueStore
from sfm_core.inprocess.vector import InProcessVectorStore
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.vector import VectorStore
from sfm_core.registry import LOCAL, BackendContext, Register
from sfm_core.testing.faults import FaultPlan, faulty

SCHEME = "faulty"
_LOCAL = frozenset({LOCAL})


@dataclass(frozen=True, slots=True)
class FaultyPlugin:
    """Offers `faulty:` for some ports, with one plan for each."""

    kv: FaultPlan = field(default_factory=FaultPlan)
    vector: FaultPlan = field(default_factory=FaultPlan)
    embedder: FaultPlan = field(default_factory=FaultPlan)

    @hookimpl
    def sfm_register_kv_stores(self, register: Register[KeyValueStore]) -> None:
        """Offer the truth."""

        def make(url: str, context: BackendContext) -> KeyValueStore:  # noqa: ARG001 - a factory
            return faulty(InProcessKeyValueStore(clock=context.clock), self.kv)

        register(SCHEME, make, summary="Fails as it is told to.", capabilities=_LOCAL)

    @hookimpl
    def sfm_register_vector_stores(self, register: Register[VectorStore]) -> None:
        """Offer the vectors."""

        def make(url: str, context: BackendContext) -> VectorStore:  # noqa: ARG001 - a factory
            return faulty(InProcessVectorStore(), self.vector)

        register(SCHEME, make, summary="Fails as it is told to.", capabilities=_LOCAL)

    @hookimpl
    def sfm_register_embedders(self, register: Register[Embedder]) -> None:
        """Offer the embedder."""

        def make(url: str, context: BackendContext) -> Embedder:  # noqa: ARG001 - a factory
            return faulty(HashingEmbedder(), self.embedder)

        register(SCHEME, make, summary="Fails as it is told to.", capabilities=_LOCAL)
