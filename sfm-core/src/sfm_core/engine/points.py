"""Making points of memories: their vectors and their terms."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from sfm_core.engine.drafts import Draft
from sfm_core.engine.index import Index
from sfm_core.errors import SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import Memory
from sfm_core.model.payload import Payload
from sfm_core.protocols.vector import Point, PointId
from sfm_core.text.composing import keyword_terms, own_text

MAX_CHARACTERS_INLINE = 2000
"""Text that is analyzed on the event loop: it takes less time than changing threads."""


async def points_of(
    memories: Sequence[Memory],
    index: Index,
    contexts: Mapping[Coordinate, Sequence[Payload]],
    drafts: Mapping[Coordinate, Draft],
) -> list[Point]:
    """Make points.

    Args:
        memories: Of what; no coordinate twice.
        index: For which index.
        contexts: What was said before each in its episode, the nearest first.
        drafts: Vectors for this index that were begun ahead; the others are made now.

    Returns:
        One point for each, in order.

    Raises:
        BackendError: The embedder failed.
    """
    texts = [
        draft.text if (draft := drafts.get(each.coordinate)) else own_text(each.payload, index.rule)
        for each in memories
    ]

    def find_terms() -> list[dict[str, float]]:
        return [
            keyword_terms(
                each.payload, contexts.get(each.coordinate, ()), index.rule, index.analyzer
            )
            for each in memories
        ]

    if sum(map(len, texts)) <= MAX_CHARACTERS_INLINE:
        terms = find_terms()
        vectors = await _vectors(memories, texts, index, drafts)
    else:
        vectors, terms = await asyncio.gather(
            _vectors(memories, texts, index, drafts), asyncio.to_thread(find_terms)
        )
    return [
        Point(
            id=PointId(namespace=each.namespace, coordinate=each.coordinate),
            version=each.version,
            type=each.type,
            payload=each.payload,
            vector=vectors[each.coordinate],
            terms=terms[at],
        )
        for at, each in enumerate(memories)
    ]


async def _vectors(
    memories: Sequence[Memory],
    texts: Sequence[str],
    index: Index,
    drafts: Mapping[Coordinate, Draft],
) -> dict[Coordinate, NDArray[np.float32]]:
    found = await _drafted(drafts)
    lacking = {
        each.coordinate: text
        for each, text in zip(memories, texts, strict=True)
        if each.coordinate not in found
    }
    if lacking:
        found.update(zip(lacking, await index.embedder.embed([*lacking.values()]), strict=True))
    return found


async def _drafted(drafts: Mapping[Coordinate, Draft]) -> dict[Coordinate, NDArray[np.float32]]:
    """Return the vectors that were begun ahead, without those that have to be made again."""
    begun = {draft.vectors for draft in drafts.values()}
    if begun:
        await asyncio.wait(begun)
    found: dict[Coordinate, NDArray[np.float32]] = {}
    for where, draft in drafts.items():
        failure = draft.vectors.exception()
        if failure is None:
            found[where] = draft.vectors.result()[draft.row]
        elif not isinstance(failure, SfmError) or failure.retryable:
            raise failure
        # Otherwise it may be one of the other texts that cannot be embedded.
    return found
