"""Reading entries of the truth by their keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from functools import cache

from sfm_core.protocols.kv import Entry

# One statement for many keys is nearly twice as fast as one each; longer lists gain no more.
_CHUNK = 64


def read_entries(
    connection: sqlite3.Connection, namespace: int, keys: Sequence[bytes]
) -> dict[bytes, Entry]:
    """Return the entries that are there.

    Args:
        connection: Any connection.
        namespace: Number of the namespace.
        keys: What to read.
    """
    found: dict[bytes, Entry] = {}
    for start in range(0, len(keys), _CHUNK):
        chunk = keys[start : start + _CHUNK]
        rows = connection.execute(_select(len(chunk)), (namespace, *chunk))
        found.update({key: Entry(value, version) for key, value, version in rows})
    return found


@cache
def _select(count: int) -> str:
    marks = ", ".join("?" * count)
    return f"SELECT key, value, version FROM entry WHERE namespace = ? AND key IN ({marks})"  # noqa: S608  # nosec B608 - marks only
