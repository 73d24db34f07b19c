"""Embedding what is about to be committed: the embedder works while the truth does.

A draft is only a head start. What the truth refuses was embedded in vain, and
whoever indexes a memory embeds it again where its draft is of another index or
has failed on account of another text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from sfm_core.engine.index import Index
from sfm_core.engine.indexes import Indexes
from sfm_core.model.payload import Payload
from sfm_core.text.composing import own_text

Vectors: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Draft:
    """The vector of a memory, made or on its way.

    Attributes:
        index: Whose embedder and rule make it.
        text: What it is made of.
        vectors: What will hold it, and those of the rest of its group.
        row: Which of them it is.
    """

    index: Index
    text: str
    vectors: asyncio.Task[Vectors]
    row: int


class Drafting:
    """Embeds groups of memories ahead of their commits."""

    def __init__(self, indexes: Indexes) -> None:
        """Embed for the index that is searched."""
        self._indexes = indexes
        self._embedding: set[asyncio.Task[Vectors]] = set()

    def begin(self, payloads: Sequence[Payload]) -> list[Draft]:
        """Begin to embed memories.

        Args:
            payloads: What they say.

        Returns:
            A draft for each, in order.
        """
        index = self._indexes.view.searched
        texts = [own_text(payload, index.rule) for payload in payloads]
        vectors = asyncio.create_task(_embedded(index, texts))
        self._embedding.add(vectors)
        vectors.add_done_callback(self._forget)
        return [Draft(index, text, vectors, row) for row, text in enumerate(texts)]

    async def close(self) -> None:
        """Finish what has begun."""
        await asyncio.gather(*self._embedding, return_exceptions=True)

    def _forget(self, vectors: asyncio.Task[Vectors]) -> None:
        self._embedding.discard(vectors)
        if not vectors.cancelled():
            # Whoever indexes the memories hears of an error; there may be nobody.
            vectors.exception()


async def _embedded(index: Index, texts: Sequence[str]) -> Vectors:
    return await index.embedder.embed(texts)
