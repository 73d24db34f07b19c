"""The contract of each port, as classes of tests to inherit from."""

from __future__ import annotations

from sfm_core.testing.contracts.cache import CacheContract
from sfm_core.testing.contracts.capabilities import CapabilityContract
from sfm_core.testing.contracts.embedder import EmbedderContract
from sfm_core.testing.contracts.events import EventSinkContract
from sfm_core.testing.contracts.graph import GraphStoreContract
from sfm_core.testing.contracts.handlers import EventHandlerContract
from sfm_core.testing.contracts.kv import KeyValueStoreContract
from sfm_core.testing.contracts.outages import (
    CacheOutageContract,
    EmbedderOutageContract,
    EventSinkOutageContract,
    EventSourceOutageContract,
    GraphOutageContract,
    KeyValueOutageContract,
    VectorOutageContract,
)
from sfm_core.testing.contracts.sources import EventSourceContract
from sfm_core.testing.contracts.vector import VectorStoreContract

__all__ = [
    "CacheContract",
    "CacheOutageContract",
    "CapabilityContract",
    "EmbedderContract",
    "EmbedderOutageContract",
    "EventHandlerContract",
    "EventSinkContract",
    "EventSinkOutageContract",
    "EventSourceContract",
    "EventSourceOutageContract",
    "GraphOutageContract",
    "GraphStoreContract",
    "KeyValueOutageContract",
    "KeyValueStoreContract",
    "VectorOutageContract",
    "VectorStoreContract",
]
