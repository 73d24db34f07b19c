"""What is done to a copy of a shard, in a process of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from qdrant_edge import EdgeShard, Point, ScrollRequest, UpdateOperation

from sfm_backend_qdrant.edge.engine import config

_PAGE: Final = 200


def extend(place: str) -> None:
    """Extend the graph of a shard.

    Args:
        place: Its folder.
    """
    shard = EdgeShard.load(place)
    shard.optimize()
    _put_down(shard)


def rewrite(place: str, dimension: int, scan_kilobytes: int, step_kilobytes: int) -> None:
    """Write a shard anew from the points that are in it, so that no file has any other.

    Args:
        place: Its folder, which another one takes the place of.
        dimension: Length of its vectors.
        scan_kilobytes: Up to how many vectors are compared one by one.
        step_kilobytes: From how many new ones on the graph is extended.
    """
    before = Path(place)
    draft = before.with_name(f"{before.name}-new")
    draft.mkdir()
    shard = EdgeShard.load(place)
    layout = config(dimension, scan_kilobytes=scan_kilobytes, step_kilobytes=step_kilobytes)
    anew = EdgeShard.create(str(draft), layout)
    for field, index in shard.info().payload_schema.items():
        anew.update(UpdateOperation.create_field_index(field, index.params or index.data_type))
    _hand_on(shard, anew)
    shard.close()
    anew.optimize()
    _put_down(anew)
    shutil.rmtree(before)
    draft.rename(before)


def _hand_on(shard: EdgeShard, to: EdgeShard) -> None:
    offset = None
    while True:
        page = ScrollRequest(offset=offset, limit=_PAGE, with_payload=True, with_vector=True)
        records, offset = shard.scroll(page)
        points = [Point(record.id, record.vector or {}, record.payload) for record in records]
        if points:
            to.update(UpdateOperation.upsert_points(points))
        if offset is None:
            return


def _put_down(shard: EdgeShard) -> None:
    shard.flush()
    shard.close()
