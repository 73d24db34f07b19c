"""Deadlines, retries and circuit breakers around any port."""

from sfm_core.resilience.breaker import Breaker, BreakerState
from sfm_core.resilience.cache import ResilientCache
from sfm_core.resilience.embedder import EMBEDDER_POLICY, ResilientEmbedder
from sfm_core.resilience.events import ResilientEventSink
from sfm_core.resilience.graph import ResilientGraphStore
from sfm_core.resilience.kv import ResilientKeyValueStore
from sfm_core.resilience.policy import Policy
from sfm_core.resilience.vector import ResilientVectorStore

__all__ = [
    "EMBEDDER_POLICY",
    "Breaker",
    "BreakerState",
    "Policy",
    "ResilientCache",
    "ResilientEmbedder",
    "ResilientEventSink",
    "ResilientGraphStore",
    "ResilientKeyValueStore",
    "ResilientVectorStore",
]
