"""What a program puts around stores, such as encryption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.vector import VectorStore


def _as_it_is_kv(store: KeyValueStore) -> KeyValueStore:
    return store


def _as_it_is_vector(store: VectorStore) -> VectorStore:
    return store


@dataclass(frozen=True, slots=True, kw_only=True)
class Wrapping:
    """What is put around stores that are not open yet, outside of patience with them.

    What it returns keeps every promise of the port, opens what it was given and closes it.

    Attributes:
        kv: Wraps a truth, for instance to encrypt its values.
        vector: Wraps a vector store, for instance to keep something back from it.
    """

    kv: Callable[[KeyValueStore], KeyValueStore] = _as_it_is_kv
    vector: Callable[[VectorStore], VectorStore] = _as_it_is_vector


UNWRAPPED = Wrapping()
"""Leaves every store as it is."""
