"""BM25 over weighted terms, as an inverted index of NumPy arrays.

Terms and weights of each slot are kept in the order of adding (to take a slot
out of the statistics again), and inverted in *segments*: per
term, ascending slots with their weights. New slots wait in dictionaries until
they are enough for a segment; segments of like size are merged. So adding is
cheap, a search touches only the postings of its terms, and statistics are
those of the living slots at every moment.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sfm_core.search.growing import Growing

K1 = 0.9
B = 0.4
TYPICAL_LENGTH = 30.0
"""What lengths of texts are compared with, about that of a turn in a conversation.

Not the mean of the texts at hand: some stores of vectors cannot know it, and a
memory that moves from one store to another must be recalled as before.
"""

# Slots that wait in dictionaries before they become a segment, slots that do not
# wait because so many come at once, and how many segments of about one size become one.
_WAITING = 2048
_BULK = 512
_FANOUT = 4

Slots = NDArray[np.intp]
Scores = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Segment:
    """Postings of consecutive slots, sorted by term and then by slot."""

    first: int
    last: int
    terms: NDArray[np.int32]
    starts: NDArray[np.intp]
    slots: Slots
    weights: Scores

    def postings(self, term: int) -> tuple[Slots, Scores]:
        at = int(np.searchsorted(self.terms, term))
        if at == len(self.terms) or self.terms[at] != term:
            return self.slots[:0], self.weights[:0]
        rows = slice(self.starts[at], self.starts[at + 1])
        return self.slots[rows], self.weights[rows]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordState:
    """What an index is made of, for keeping it elsewhere.

    Attributes:
        vocabulary: Every term; its place is its number.
        starts: Where the terms of each slot begin in `terms`, and the end of the last.
        terms: Numbers of terms, slot after slot.
        weights: Their weights.
        alive: Which slots were not removed.
    """

    vocabulary: list[str]
    starts: NDArray[np.int64]
    terms: NDArray[np.int32]
    weights: Scores
    alive: NDArray[np.bool_]


class _Numbers(dict[str, int]):
    """Numbers terms in the order in which they are first looked up."""

    def __missing__(self, term: str) -> int:
        self[term] = number = len(self)
        return number


class KeywordIndex:
    """Finds slots that share terms with a query."""

    def __init__(self, state: KeywordState | None = None) -> None:
        """Start empty, or with what `state` returned.

        Args:
            state: What to start with; its arrays are copied.
        """
        self._numbers = _Numbers()
        self._starts = Growing(np.int64)
        self._terms = Growing(np.int32)
        self._weights = Growing(np.float32)
        self._lengths = Growing(np.float32)
        self._alive = Growing(np.bool_)
        self._holders = Growing(np.int64)
        self._count = 0
        self._segments: list[_Segment] = []
        self._waiting: dict[int, tuple[list[int], list[float]]] = {}
        self._inverted = 0
        self._norms: Scores = np.empty(0, np.float32)
        self._starts.extend(np.zeros(1, np.int64))
        if state is not None:
            self._restore(state)

    def __len__(self) -> int:
        """Return how many slots were ever added."""
        return len(self._lengths)

    def add_many(self, documents: Sequence[Mapping[str, float]]) -> None:
        """Add the next slots.

        Args:
            documents: Terms with their weights, one mapping per slot. Weights
                that are not above 0 do not count.
        """
        number = self._numbers.__getitem__
        numbers: list[int] = []
        counted: list[float] = []
        ends: list[int] = []
        for document in documents:
            numbers.extend(map(number, document))
            counted.extend(document.values())
            ends.append(len(numbers))
        terms, weights = np.array(numbers, np.int32), np.array(counted, np.float32)
        bounds = np.array(ends, np.int64)
        if (weights <= 0.0).any():
            positive = weights > 0.0
            bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(positive, dtype=np.int64)])[
                bounds
            ]
            terms, weights = terms[positive], weights[positive]
        self._append(terms, weights, bounds)
        if len(documents) >= _BULK or len(self) - self._inverted > _WAITING:
            self._invert()
        else:
            self._wait(len(self) - len(documents), terms, weights, bounds)

    def remove(self, slot: int) -> None:
        """Take a slot out; it is gone from results and statistics at once."""
        if self._alive.view[slot]:
            self._alive.view[slot] = False
            self._holders.view[self._terms_of(slot)] -= 1
            self._count -= 1

    def scores(self, query: Mapping[str, float]) -> Scores:
        """Score every slot against a query.

        Args:
            query: Terms with their weights.

        Returns:
            BM25 per slot; 0 where no term is shared, or the slot was removed.
        """
        scores = np.zeros(len(self), np.float32)
        if self._count == 0:
            return scores
        norms = self._current_norms()
        for term, weight in query.items():
            number = self._numbers.get(term)
            if number is not None and weight > 0.0:
                self._score(scores, norms, number, weight)
        scores *= self._alive.view
        return scores

    def state(self) -> KeywordState:
        """Return what the index is made of. The arrays change with it: copy or write them soon."""
        return KeywordState(
            vocabulary=list(self._numbers),
            starts=self._starts.view,
            terms=self._terms.view,
            weights=self._weights.view,
            alive=self._alive.view,
        )

    def _restore(self, state: KeywordState) -> None:
        self._numbers.update(zip(state.vocabulary, range(len(state.vocabulary)), strict=True))
        self._append(state.terms, state.weights, state.starts[1:])
        for slot in np.flatnonzero(~state.alive).tolist():
            self.remove(slot)
        self._invert()

    def _append(self, terms: NDArray[np.int32], weights: Scores, ends: NDArray[np.int64]) -> None:
        self._starts.extend(ends + len(self._terms))
        self._terms.extend(terms)
        self._weights.extend(weights)
        self._alive.extend(np.ones(len(ends), np.bool_))
        owners = np.repeat(np.arange(len(ends)), np.diff(ends, prepend=0))
        lengths = np.bincount(owners, weights, len(ends)).astype(np.float32)
        self._lengths.extend(lengths)
        self._count += len(ends)
        self._holders.extend(np.zeros(len(self._numbers) - len(self._holders), np.int64))
        np.add.at(self._holders.view, terms, 1)

    def _terms_of(self, slot: int) -> NDArray[np.int32]:
        start, end = self._starts.view[slot : slot + 2]
        return self._terms.view[start:end]

    def _wait(
        self, slot: int, terms: NDArray[np.int32], weights: Scores, ends: NDArray[np.int64]
    ) -> None:
        slots = np.repeat(np.arange(slot, slot + len(ends)), np.diff(ends, prepend=0))
        for owner, term, weight in zip(
            slots.tolist(), terms.tolist(), weights.tolist(), strict=True
        ):
            waiting, kept = self._waiting.setdefault(term, ([], []))
            waiting.append(owner)
            kept.append(weight)

    def _invert(self) -> None:
        self._waiting.clear()
        self._segments.append(self._segment(self._inverted, len(self)))
        self._inverted = len(self)
        while self._due():
            first, last = self._segments[-_FANOUT].first, self._segments[-1].last
            del self._segments[-_FANOUT:]
            self._segments.append(self._segment(first, last))

    def _due(self) -> bool:
        sizes = [each.last - each.first for each in self._segments[-_FANOUT:]]
        return len(sizes) == _FANOUT and max(sizes) < _FANOUT * min(sizes)

    def _segment(self, first: int, last: int) -> _Segment:
        bounds = self._starts.view[first : last + 1]
        rows = slice(int(bounds[0]), int(bounds[-1]))
        terms = self._terms.view[rows]
        # NumPy sorts 16-bit integers by radix, several times faster than wider ones.
        short = len(self._numbers) <= np.iinfo(np.uint16).max
        order = np.argsort(terms.astype(np.uint16) if short else terms, kind="stable")
        ordered = terms[order]
        changes = np.flatnonzero(np.diff(ordered, prepend=-1))
        return _Segment(
            first=first,
            last=last,
            terms=ordered[changes],
            starts=np.append(changes, len(ordered)),
            slots=np.repeat(np.arange(first, last), np.diff(bounds))[order],
            weights=self._weights.view[rows][order],
        )

    def _score(self, scores: Scores, norms: Scores, number: int, weight: float) -> None:
        having = int(self._holders.view[number])
        rarity = np.log1p((self._count - having + 0.5) / (having + 0.5))
        factor = np.float32(weight * rarity * (K1 + 1.0))
        for slots, weights in self._postings(number):
            if len(slots):
                scores[slots] += weights / (weights + norms[slots]) * factor

    def _postings(self, number: int) -> list[tuple[Slots, Scores]]:
        found = [segment.postings(number) for segment in self._segments]
        waiting = self._waiting.get(number)
        if waiting is not None:
            found.append((np.array(waiting[0], np.intp), np.array(waiting[1], np.float32)))
        return found

    def _current_norms(self) -> Scores:
        # The length of a slot never changes.
        if len(self._norms) != len(self):
            self._norms = self._lengths.view * np.float32(K1 * B / TYPICAL_LENGTH)
            self._norms += np.float32(K1 * (1.0 - B))
        return self._norms


def best(scores: Scores, limit: int, *, allowed: NDArray[np.bool_] | None = None) -> Slots:
    """Return the slots with the highest scores above 0, best first, equals by slot.

    Args:
        scores: One score per slot.
        limit: Most slots to return.
        allowed: Which slots may be returned.
    """
    candidates = np.flatnonzero(scores > 0 if allowed is None else (scores > 0) & allowed)
    if len(candidates) > limit:
        found = scores[candidates]
        candidates = np.sort(candidates[np.argpartition(found, -limit)[-limit:]])
    return candidates[np.argsort(-scores[candidates], kind="stable")]
