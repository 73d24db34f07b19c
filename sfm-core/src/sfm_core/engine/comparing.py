"""Telling how two truths differ."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

import msgspec

from sfm_core.clock import Clock
from sfm_core.engine.copying import Progress, pairs
from sfm_core.engine.walking import namespaces_of
from sfm_core.errors import CorruptDataError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import LINK, MEMORY, parse_link_key
from sfm_core.model.record import LinkRecord, MemoryRecord, decode_link, decode_memory
from sfm_core.model.report import TruthDifference
from sfm_core.protocols.kv import Entry, KeyValueStore

MAX_EXAMPLES = 20


async def compare_truths(
    here: KeyValueStore, there: KeyValueStore, clock: Clock, *, progress: Progress | None = None
) -> TruthDifference:
    """Compare what lives in two truths: memories and links, each with its version.

    What was deleted or has expired counts as absent; history and access
    statistics are not compared. What is written meanwhile may be reported.

    Args:
        here: One truth.
        there: The other.
        clock: Tells what has expired.
        progress: Told how many keys were dealt with.

    Returns:
        How many are the same, and how many are not.

    Raises:
        CorruptDataError: An entry cannot be read.
        BackendError: A truth failed.
    """
    count: Counter[str] = Counter()
    examples: list[str] = []
    for namespace in await namespaces_of(here, there):
        async for pair in pairs(here, there, namespace, (LINK, MEMORY)):
            now = clock.now()
            mine = _living(here, pair.key, pair.source, now)
            theirs = _living(there, pair.key, pair.target, now)
            what = _verdict(mine, theirs)
            count[what] += 1
            if what in _SAID and len(examples) < MAX_EXAMPLES:
                examples.append(f"{namespace}: {_named(pair.key)} {_SAID[what]}")
            if progress:
                progress(1)
    return TruthDifference(
        same=count["same"],
        only_here=count["only_here"],
        only_there=count["only_there"],
        different=count["different"],
        examples=tuple(examples),
    )


_SAID = {"only_here": "is only here", "only_there": "is only there", "different": "is not alike"}


class _Living(msgspec.Struct, frozen=True):
    """A memory or a link that lives, with its version."""

    version: int
    record: MemoryRecord | LinkRecord


def _living(kv: KeyValueStore, key: bytes, entry: Entry | None, now: datetime) -> _Living | None:
    if entry is None:
        return None
    try:
        record = decode_memory(entry.value) if key[:1] == MEMORY else decode_link(entry.value)
    except msgspec.DecodeError as error:
        raise CorruptDataError(
            f"The entry of {_named(key)} cannot be read: {error}.", backend=kv.scheme
        ) from error
    dead = not record.alive(now) if isinstance(record, MemoryRecord) else record.deleted
    # Who has followed a write says nothing about what it wrote.
    return None if dead else _Living(entry.version, msgspec.structs.replace(record, trace=None))


def _verdict(mine: _Living | None, theirs: _Living | None) -> str:
    if mine is None:
        return "absent" if theirs is None else "only_there"
    if theirs is None:
        return "only_here"
    return "same" if mine == theirs else "different"


def _named(key: bytes) -> str:
    if key[:1] == MEMORY:
        return str(Coordinate.from_key(key[1:]))
    source, link_type, target = parse_link_key(key)
    return f"{source}>{link_type}>{target}"
