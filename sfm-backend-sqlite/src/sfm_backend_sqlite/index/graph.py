"""The library that keeps the graph of neighbours, behind types."""

from __future__ import annotations

import threading
from typing import NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

# What usearch calls connectivity and expansion: neighbours kept per vector and
# how many are looked at for choosing them. More than this costs building time
# for recall that searching wider gives as well.
_CONNECTIVITY = 16
_EXPANSION_ADD = 96
_LEAST_EXPANSION = 64


class _Matches(Protocol):
    keys: NDArray[np.uint64]


class _Library(Protocol):
    """The part of usearch's index that is used here."""

    expansion_search: int

    def __len__(self) -> int: ...
    def add(
        self, keys: NDArray[np.uint64], vectors: NDArray[np.float32], *, copy: bool, threads: int
    ) -> object: ...
    def search(self, vectors: NDArray[np.float32], count: int, *, threads: int) -> _Matches: ...
    def save(self) -> bytearray: ...
    def load(self, path_or_buffer: bytes) -> None: ...


class SavedGraph(NamedTuple):
    """A graph as it was at one moment.

    Attributes:
        content: What `NeighborGraph.restore` reads; empty where there is no graph.
        covered: Slots that it covers.
    """

    content: bytes | bytearray = b""
    covered: int = 0


class NeighborGraph:
    """Finds near vectors by walking from neighbour to neighbour.

    Nothing is ever taken out; the caller drops what no longer exists from the answers.
    It may be used by several threads: while one adds a few vectors, others wait.

    Attributes:
        covered: Slots below this have been added, or passed over.
    """

    def __init__(self, dimension: int) -> None:
        self._library = _new_library(dimension)
        self._turn = threading.Lock()
        self.covered = 0

    @classmethod
    def restore(cls, dimension: int, saved: bytes, covered: int) -> NeighborGraph:
        """Return the graph that `save` has written.

        Args:
            dimension: Length of its vectors.
            saved: The bytes.
            covered: Slots that it covers.

        Raises:
            RuntimeError: The bytes are not understood.
        """
        graph = cls(dimension)
        graph._library.load(saved)
        graph.covered = covered
        return graph

    def save(self) -> SavedGraph:
        """Return the graph as it is."""
        with self._turn:
            return SavedGraph(self._library.save(), self.covered)

    def cover(self, slots: NDArray[np.intp], vectors: NDArray[np.float32], end: int) -> None:
        """Add slots; one thread at a time may do so.

        Args:
            slots: Living slots from `covered` on.
            vectors: The vector of each.
            end: First slot that stays uncovered.
        """
        with self._turn:
            if len(slots):
                self._library.add(slots.astype(np.uint64), vectors, copy=True, threads=1)
            self.covered = end

    def search(self, query: NDArray[np.float32], count: int, effort: float) -> NDArray[np.intp]:
        """Return about the nearest slots, best first.

        Args:
            query: The vector to be near to.
            count: How many slots to find.
            effort: How many candidates to look at for each of them.
        """
        with self._turn:
            self._library.expansion_search = int(max(_LEAST_EXPANSION, count) * effort)
            found = self._library.search(query, min(count, len(self._library)), threads=1)
        return found.keys.astype(np.intp)


def _new_library(dimension: int) -> _Library:
    # Loading it takes a tenth of a second, which small stores never need.
    from usearch.index import Index  # noqa: PLC0415

    return cast(
        _Library,
        Index(
            ndim=dimension,
            metric="ip",
            # Halves memory and time; answers are scored again from the exact vectors.
            dtype="f16",
            connectivity=_CONNECTIVITY,
            expansion_add=_EXPANSION_ADD,
        ),
    )
