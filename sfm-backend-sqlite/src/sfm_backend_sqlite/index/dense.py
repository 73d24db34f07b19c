"""Nearest vectors: exact while there are few, over a graph of neighbours (HNSW) above."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfm_backend_sqlite.index.graph import NeighborGraph
from sfm_core.search.growing import Growing

Slots: TypeAlias = NDArray[np.intp]
Vectors: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]

# Vectors that may be searched exactly beside the graph before they join it.
_TAIL = 4_096
# Measured costs in microseconds: one row in a matrix product (and what each
# further query of the batch adds), and one step of effort in the graph.
_ROW_COST, _ROW_COST_PER_QUERY, _STEP_COST = 0.2, 0.01, 5.0
# The guarantee is 0.95; below this the graph searches wider, or is left alone.
_WANTED_RECALL = 0.975
_EFFORTS = (1.0, 1.5, 2.5, 4.0)
# Rows that are worked on at a time, so that they stay in the processor's cache.
_BLOCK = 1_024
_SAMPLE = 32
_DEPTHS = (10, 100)
# Scores that are worked out at a time where there are several queries: 4 MB of them.
_MATRIX = 1_000_000


@dataclass(frozen=True, slots=True)
class Selection:
    """Which slots may be answered.

    Attributes:
        mask: One flag per slot.
        count: How many are set.
    """

    mask: Mask
    count: int

    @classmethod
    def of(cls, mask: Mask) -> Selection:
        """Count the flags of a mask."""
        return cls(mask, int(np.count_nonzero(mask)))


class DenseIndex:
    """Vectors by slot. The graph trails behind; what it lacks is searched exactly."""

    def __init__(self, dimension: int, *, approximate_from: int) -> None:
        self._vectors: Growing[np.float32] = Growing(np.float32, width=dimension)
        self._approximate_from = approximate_from
        self._dimension = dimension
        self.graph: NeighborGraph | None = None
        # Not used before it was compared with exact search.
        self._effort: float | None = None
        self._calibrated_at = 0
        self._calibrated_by_queries = False
        self._asked: list[Vectors] = []

    def __len__(self) -> int:
        return len(self._vectors)

    @property
    def vectors(self) -> Vectors:
        """Every vector so far; rows are never changed."""
        return self._vectors.view

    @property
    def behind(self) -> bool:
        """Whether the graph should catch up."""
        if self.graph is None:
            return len(self) >= self._approximate_from
        return len(self) - self.graph.covered > max(_TAIL, self.graph.covered // 20)

    def extend(self, vectors: Vectors) -> None:
        """Add the next slots."""
        self._vectors.extend(vectors)

    def scores(self, query: Vectors, slots: Slots) -> Vectors:
        """Return the cosine similarity of some slots."""
        scores: Vectors = np.vecdot(self.vectors[slots], query)
        return scores.clip(-1.0, 1.0)

    def nearest(self, queries: Vectors, limit: int, allowed: Selection) -> list[Slots]:
        """Return the nearest allowed slots for each query, in no particular order.

        Args:
            queries: float32, shape (number of queries, dimension).
            limit: Most slots per query.
            allowed: Which slots may be answered.
        """
        if allowed.count <= limit:
            everything = np.flatnonzero(allowed.mask)
            return [everything for _ in queries]
        self._asked = [*self._asked[-_SAMPLE:], *queries[:_SAMPLE]][-_SAMPLE:]
        breadth = self._breadth(limit, allowed)
        exact = allowed.count * (_ROW_COST + _ROW_COST_PER_QUERY * len(queries))
        if breadth is None or breadth * _STEP_COST * len(queries) > exact:
            return self._exact(queries, limit, allowed)
        return [self._approximate(query, limit, breadth, allowed) for query in queries]

    def make_graph(self) -> NeighborGraph:
        """Return the graph, begun where there is none."""
        if self.graph is None:
            self.graph = NeighborGraph(self._dimension)
        return self.graph

    def needs_calibration(self) -> bool:
        """Tell whether the graph should be compared with exact search, for the first time or again.

        That is when it has grown, and when there are real queries to compare with at last.
        """
        if self.graph is None:
            return False
        grown = self.graph.covered > self._calibrated_at * 1.25
        return grown or (len(self._asked) >= _SAMPLE and not self._calibrated_by_queries)

    def sample(self) -> Vectors:
        """Return queries to calibrate with: the latest real ones, or vectors of the index."""
        self._calibrated_by_queries = len(self._asked) >= _SAMPLE
        if self._calibrated_by_queries:
            return np.stack(self._asked)
        source = np.random.default_rng(len(self))
        return self.vectors[source.integers(0, len(self), _SAMPLE)]

    def calibrate(self, queries: Vectors, alive: Mask) -> None:
        """Choose how widely the graph must be searched to find what exact search finds.

        Needs no lock: it reads what is never changed, and the graph takes care of itself.

        Args:
            queries: What `sample` returned.
            alive: Which of the covered slots exist.
        """
        graph = self.graph
        count = int(np.count_nonzero(alive))
        if graph is None or not count:
            return
        self._calibrated_at = graph.covered
        depths = [depth for depth in _DEPTHS if depth <= count]
        wanted = [
            _best(query, self.vectors[: len(alive)], alive, max(depths, default=0))
            for query in queries
        ]
        share = count / len(alive)
        efforts = (
            effort
            for effort in _EFFORTS
            if all(
                _agree(graph, queries, wanted, depth=depth, share=share, effort=effort)
                for depth in depths
            )
        )
        self._effort = next(efforts, None)

    def _breadth(self, limit: int, allowed: Selection) -> int | None:
        """Return how many slots the graph must be asked for, or `None` if it cannot help."""
        if self.graph is None or self._effort is None or not self.graph.covered:
            return None
        breadth = _widened(limit, allowed.count / len(self))
        return None if breadth * self._effort > self.graph.covered // 4 else breadth

    def _approximate(self, query: Vectors, limit: int, breadth: int, allowed: Selection) -> Slots:
        graph = self.make_graph()
        # Read before the search: what another thread adds meanwhile counts as tail.
        covered = graph.covered
        found = graph.search(query, breadth, self._effort or _EFFORTS[-1])
        found = found[found < covered]
        found = found[allowed.mask[found]]
        tail = np.flatnonzero(allowed.mask[covered:]) + covered
        if len(found) < limit and len(found) + len(tail) < allowed.count:
            # The filter and the query disagree: what it lets through is far away.
            return self._exact(query[None], limit, allowed)[0]
        scores = np.concatenate(
            [
                np.vecdot(self.vectors[found], query),
                np.vecdot(self.vectors[covered:], query)[tail - covered],
            ]
        )
        return np.concatenate([found, tail])[_top(scores, limit)]

    def _exact(self, queries: Vectors, limit: int, allowed: Selection) -> list[Slots]:
        step = max(1, _MATRIX // len(self))
        answers: list[Slots] = []
        for start in range(0, len(queries), step):
            answers += self._product(queries[start : start + step], limit, allowed)
        return answers

    def _product(self, queries: Vectors, limit: int, allowed: Selection) -> list[Slots]:
        if allowed.count > len(self) // 3:
            scores = _products(queries, self.vectors)
            if allowed.count < len(self):
                np.copyto(scores, -np.inf, where=~allowed.mask)
            return [_top(row, limit) for row in scores]
        slots = np.flatnonzero(allowed.mask)
        parts = [
            _products(queries, self.vectors[slots[start : start + _BLOCK]])
            for start in range(0, len(slots), _BLOCK)
        ]
        return [slots[_top(row, limit)] for row in np.concatenate(parts, axis=1)]


def _agree(
    graph: NeighborGraph,
    queries: Vectors,
    wanted: Sequence[Slots],
    *,
    depth: int,
    share: float,
    effort: float,
) -> bool:
    """Tell whether the graph finds enough of the first `depth` that are wanted."""
    breadth = _widened(depth, share)
    hits = sum(
        len(np.intersect1d(best[:depth], graph.search(query, breadth, effort)))
        for query, best in zip(queries, wanted, strict=True)
    )
    return hits >= _WANTED_RECALL * depth * len(queries)


def _widened(limit: int, share: float) -> int:
    # A third more, because what is filtered out is not spread evenly.
    return int(limit / share * 1.33) + 16


def _products(queries: Vectors, rows: Vectors) -> Vectors:
    """Return the score of each row for each query.

    Row by row and not by a matrix product: that one shares each call out among
    threads which wait for each other, fifty times longer on a busy machine.
    """
    scores = np.empty((len(queries), len(rows)), np.float32)
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        np.vecdot(queries[:, None], rows[None, part], out=scores[:, part])
    return scores


def _best(query: Vectors, rows: Vectors, alive: Mask, depth: int) -> Slots:
    """Return the slots of the highest exact scores, best first."""
    [scores] = _products(query[None], rows)
    np.copyto(scores, -np.inf, where=~alive)
    best = _top(scores, depth)
    return best[np.argsort(-scores[best])]


def _top(scores: Vectors, limit: int) -> Slots:
    if len(scores) <= limit:
        return np.arange(len(scores))
    return np.argpartition(scores, -limit)[-limit:]
