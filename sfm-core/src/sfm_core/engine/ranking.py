"""How the two arms of a search become one order, and what else moves a memory in it.

Raw scores of different searches cannot be compared: a cosine lies in a narrow
band, BM25 has no upper end. So each arm's scores are put on a common scale,
deviations from their mean over the candidates (z-scores, as in the fusion
literature, e.g. M. Montague and J. Aslam, "Relevance score normalization for
metasearch", 2001), and added with weights. Recency and importance are added on
that same scale, where a unit is one standard deviation of the relevance. The
logistic function then maps the sum into [0, 1] without changing the order.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sfm_core.model.record import MemoryRecord
from sfm_core.protocols.vector import Hit
from sfm_core.settings import RankingSettings

MAX_DEVIATIONS = 5.0
"""How far one candidate may stand out of an arm.

Without a bound the only candidate of hundreds that shares a word with the
query stands out by the root of their number, and no vector could answer it.
"""

_SMALLEST_SPREAD = 1e-9


class Score(NamedTuple):
    """How well a memory answers.

    Attributes:
        total: From 0 to 1.
        parts: What made it; see `Recalled`.
    """

    total: float
    parts: dict[str, float]


def standardize(scores: Sequence[float | None]) -> NDArray[np.float64]:
    """Put the scores of one arm on a common scale.

    Args:
        scores: One per candidate. An unknown one counts as the lowest known,
            because the arm did not find it among its best.

    Returns:
        One per candidate, in deviations from the mean; all 0 where the arm
        cannot tell the candidates apart.
    """
    values = np.array(scores, np.float64)
    unknown = np.isnan(values)
    if unknown.all():
        return np.zeros(len(values))
    values[unknown] = values[~unknown].min()
    # Exact sums, so that the order in which candidates come makes no difference.
    values -= math.fsum(values.tolist()) / len(values)
    variance = math.fsum((values * values).tolist()) / len(values)
    spread = max(math.sqrt(variance), float(values.max()) / MAX_DEVIATIONS)
    return values / spread if spread >= _SMALLEST_SPREAD else np.zeros(len(values))


def fuse(hits: Sequence[Hit], settings: RankingSettings) -> list[tuple[float, Hit]]:
    """Order candidates by both arms.

    Args:
        hits: The best of each arm together.
        settings: How much each arm counts. An arm that was left out leaves
            all of it to the other.

    Returns:
        Relevance in standard deviations, and the candidate; best first, ties
        in the order of coordinates.
    """
    share = settings.dense_share
    relevance = share * standardize([hit.dense for hit in hits])
    relevance += (1.0 - share) * standardize([hit.keyword for hit in hits])
    fused = list(zip(relevance.tolist(), hits, strict=True))
    fused.sort(key=lambda pair: (-pair[0], pair[1].coordinate))
    return fused


def score(
    record: MemoryRecord, relevance: float, hit: Hit, settings: RankingSettings, now: datetime
) -> Score:
    """Score a memory that may be returned.

    Args:
        record: The memory, as the truth holds it.
        relevance: What `fuse` gave for it.
        hit: Its raw scores.
        settings: What recency and importance count.
        now: The time, for recency.

    Returns:
        Its score and the parts that made it: the raw scores `dense` and
        `keyword` where the arm took part, and, in standard deviations,
        `relevance`, `recency` and `importance`, whose sum the logistic
        function maps to the score.
    """
    age = max((now - record.updated_at) / settings.recency_half_life, 0.0)
    parts = {
        "relevance": relevance,
        "recency": settings.recency_weight * 0.5**age,
        "importance": settings.importance_weight * record.importance,
    }
    total = to_unit(math.fsum(parts.values()))
    if hit.dense is not None:
        parts["dense"] = hit.dense
    if hit.keyword is not None:
        parts["keyword"] = hit.keyword
    return Score(total, parts)


def to_unit(value: float) -> float:
    """Map any number into [0, 1], keeping the order; 0.5 is an average candidate."""
    if value >= 0:
        return 1.0 / (1.0 + math.exp(-value))
    grown = math.exp(max(value, -700.0))
    return grown / (1.0 + grown)
