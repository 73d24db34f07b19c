"""What a store asks of a Qdrant, as messages to the worker."""

from __future__ import annotations

from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray
from qdrant_client import models

from sfm_backend_qdrant._asking import Arm, Ask
from sfm_backend_qdrant._collections import INDEXES
from sfm_backend_qdrant._encoding import StoredPoint
from sfm_backend_qdrant.edge.messages import Asked, AskedArm, Condition, Index, Written

EDGE_INDEXES: Final = {
    field: msgspec.convert(schema.model_dump(exclude_none=True), Index)
    for field, schema in INDEXES.items()
}


def written(point: StoredPoint) -> Written:
    """Return a point."""
    return Written(point.id, _raw(point.vector), {**point.words}, {**point.fields})


def _raw(vector: NDArray[np.float32]) -> bytes:
    return np.ascontiguousarray(vector, dtype=np.float32).tobytes()


def said(condition: models.Filter) -> Condition:
    """Return a condition.

    Raises:
        msgspec.ValidationError: It has something that the worker does not know.
    """
    return msgspec.convert(condition.model_dump(exclude_none=True), Condition)


def asked(ask: Ask) -> Asked:
    """Return a search."""
    return Asked(
        arms=[_arm(arm) for arm in ask.arms],
        condition=said(ask.condition),
        corpus=said(ask.corpus),
        fields=ask.fields,
        size=ask.size,
    )


def _arm(arm: Arm) -> AskedArm:
    vector = None if arm.vector is None else _raw(arm.vector)
    return AskedArm(arm.using, vector, None if arm.words is None else {**arm.words})
