"""The contract of each port, as classes of tests to inherit from."""

from __future__ import annotations

from sfm_core.testing.contracts.kv import KeyValueStoreContract
from sfm_core.testing.contracts.vector import VectorStoreContract

__all__ = ["KeyValueStoreContract", "VectorStoreContract"]
