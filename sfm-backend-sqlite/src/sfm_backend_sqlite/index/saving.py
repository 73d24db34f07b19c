"""An index as arrays for a snapshot, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sfm_backend_sqlite.index.graph import NeighborGraph, SavedGraph
from sfm_backend_sqlite.index.namespace import Columns, NamespaceIndex
from sfm_backend_sqlite.index.snapshot import SnapshotError
from sfm_core.search.keyword import KeywordIndex, KeywordState

_Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """An index as it was at one moment.

    Attributes:
        position: Last change that is included.
        covered: Slots that the graph covers.
        arrays: What is kept as arrays.
        texts: What is kept as texts, to be packed into arrays.
    """

    position: int
    covered: int
    arrays: Mapping[str, _Array]
    texts: Mapping[str, Sequence[bytes | str]] = field(default_factory=dict[str, list[bytes | str]])

    def packed(self) -> dict[str, _Array]:
        """Return all of it as arrays."""
        packed = dict(self.arrays)
        for name, parts in self.texts.items():
            packed |= _pack(
                name, [part.encode() if isinstance(part, str) else part for part in parts]
            )
        return packed


def freeze(index: NamespaceIndex, graph: SavedGraph) -> Frozen:
    """Copy what changes in an index and refer to what does not; the caller holds its lock.

    Packing takes many times as long, and is left for when nobody waits.

    Args:
        index: The index.
        graph: Its graph, as it was at this moment or before.
    """
    columns, keyword = index.columns, index.keyword.state()
    arrays: dict[str, _Array] = {
        "changes": columns.changes.view,
        "versions": columns.versions.view,
        "types": columns.types.view,
        "alive": columns.alive.view.copy(),
        "vectors": index.dense.vectors,
        "term_starts": keyword.starts,
        "term_numbers": keyword.terms,
        "term_weights": keyword.weights,
        "graph": np.frombuffer(graph.content, np.uint8),
    }
    texts: dict[str, Sequence[bytes | str]] = {
        "keys": list(columns.keys),
        "payloads": list(columns.payloads),
        "vocabulary": keyword.vocabulary,
    }
    return Frozen(position=index.position, covered=graph.covered, arrays=arrays, texts=texts)


def thaw(index: NamespaceIndex, frozen: Frozen, existing: NDArray[np.int64]) -> None:
    """Fill a new index from a snapshot.

    Args:
        index: The index; empty so far.
        frozen: What the snapshot holds.
        existing: Change numbers, ascending, of the points that the file holds
            up to the position of the snapshot.

    Raises:
        SnapshotError: The file holds points that the snapshot should know and does not.
    """
    arrays = frozen.arrays
    changes = arrays["changes"].astype(np.int64)
    living = changes[arrays["alive"].astype(np.bool_)]
    if not np.isin(existing, living).all():
        message = "the file has points that it should know and does not"
        raise SnapshotError(message)
    columns = _columns(arrays, changes)
    keyword = KeywordIndex(
        KeywordState(
            vocabulary=[term.decode() for term in _unpack("vocabulary", arrays)],
            starts=arrays["term_starts"].astype(np.int64),
            terms=arrays["term_numbers"].astype(np.int32),
            weights=arrays["term_weights"].astype(np.float32),
            alive=columns.alive.view,
        )
    )
    vectors = arrays["vectors"].astype(np.float32, copy=False)
    index.restore(columns, vectors, keyword)
    index.kill(np.flatnonzero(columns.alive.view & ~np.isin(changes, existing)))
    index.position = frozen.position
    if frozen.covered:
        index.dense.graph = NeighborGraph.restore(
            vectors.shape[1], arrays["graph"].tobytes(), frozen.covered
        )


def _columns(arrays: Mapping[str, _Array], changes: NDArray[np.int64]) -> Columns:
    columns = Columns.empty()
    columns.changes.extend(changes)
    columns.versions.extend(arrays["versions"].astype(np.int64))
    columns.types.extend(arrays["types"].astype(np.uint8))
    columns.alive.extend(arrays["alive"].astype(np.bool_))
    columns.keys.extend(_unpack("keys", arrays))
    columns.payloads.extend(_unpack("payloads", arrays))
    return columns


def _pack(name: str, parts: Sequence[bytes]) -> dict[str, _Array]:
    lengths = np.fromiter(map(len, parts), np.int64, len(parts))
    return {
        f"{name}_ends": np.cumsum(lengths),
        f"{name}_bytes": np.frombuffer(b"".join(parts), np.uint8),
    }


def _unpack(name: str, arrays: Mapping[str, _Array]) -> list[bytes]:
    content = arrays[f"{name}_bytes"].tobytes()
    ends: list[int] = arrays[f"{name}_ends"].astype(np.int64).tolist()
    return [content[start:end] for start, end in zip([0, *ends], ends, strict=False)]
