"""BM25 in sparse vectors: Qdrant multiplies in how rare a term is, the rest is done here."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from sfm_core.search.keyword import K1, TYPICAL_LENGTH, B


def document_weights(terms: Mapping[str, float]) -> dict[int, float]:
    """Return what BM25 gives each term of a text, apart from its rarity."""
    counted = {term: weight for term, weight in terms.items() if weight > 0.0}
    length = sum(counted.values())
    # Qdrant could not tell how long texts are on average, and a weight, once written, stays.
    norm = K1 * (1.0 - B + B * length / TYPICAL_LENGTH)
    weights: dict[int, float] = {}
    for term, frequency in counted.items():
        index = term_index(term)
        weight = frequency * (K1 + 1.0) / (frequency + norm)
        weights[index] = weights.get(index, 0.0) + weight
    return weights


def query_weights(terms: Mapping[str, float] | None) -> dict[int, float]:
    """Return the weight of each term of a question; Qdrant multiplies in its rarity."""
    weights: dict[int, float] = {}
    for term, weight in (terms or {}).items():
        if weight > 0.0:
            index = term_index(term)
            weights[index] = weights.get(index, 0.0) + weight
    return weights


def term_index(term: str) -> int:
    """Return the place of a term in sparse vectors: 32 bits that depend on nothing else."""
    return int.from_bytes(blake2b(term.encode(), digest_size=4).digest())
