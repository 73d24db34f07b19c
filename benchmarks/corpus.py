"""Made-up memories whose words are as frequent as words are."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import accumulate, product

from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import NewMemory

_WORDS = 20_000
_SESSION = 25


class Corpus:
    """Texts and questions; the same seed gives the same ones."""

    def __init__(self, seed: int = 1) -> None:
        """Make up a vocabulary."""
        self._chances = random.Random(seed)
        syllables = [a + b for a, b in product("bdfghklmnprstvz", "aeiou")]
        self._words = [
            "".join(self._chances.choices(syllables, k=self._chances.randint(2, 4)))
            for _ in range(_WORDS)
        ]
        # Zipf's law, without the few most frequent words: stop words are dropped anyway.
        self._weights = list(accumulate(1 / (rank + 20) for rank in range(_WORDS)))

    def text(self, words: int = 20) -> str:
        """Return a sentence."""
        chosen = self._chances.choices(self._words, cum_weights=self._weights, k=words)
        return " ".join(chosen).capitalize() + "."

    def memories(self, start: int, stop: int) -> Iterator[NewMemory]:
        """Return memories at coordinates that belong to their numbers."""
        for number in range(start, stop):
            yield NewMemory(
                coordinate=Coordinate((float(number // _SESSION), float(number % _SESSION))),
                payload={"text": self.text(), "topic": f"t{number % 100}", "number": number},
            )

    def questions(self, count: int) -> list[str]:
        """Return questions of some words each."""
        return [self.text(6) for _ in range(count)]
