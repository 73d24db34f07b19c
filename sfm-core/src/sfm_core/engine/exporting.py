"""Export as a stream of JSON Lines.

An export begins with a header and ends with a footer, which counts what came
between and has its checksum, so that a file that was cut short or changed is
recognised.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from sfm_core.engine.apart import MAX_BYTES_INLINE, Turns, inline_or_apart
from sfm_core.engine.portable import history_document, link_document, memory_document
from sfm_core.engine.portions import Portion
from sfm_core.engine.reading import Reading
from sfm_core.engine.sealing import Seal, header_document
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth, link_alive, link_of
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import LINK, MEMORY, KeyRange, access_key, history_key, memory_key
from sfm_core.model.names import check_name
from sfm_core.model.payload import JsonValue
from sfm_core.model.record import MemoryRecord
from sfm_core.protocols.kv import Entry


class _Living(NamedTuple):
    """A version of a memory that is to be written, as it was read."""

    coordinate: Coordinate
    entry: Entry
    version: int
    record: MemoryRecord


class Exporting:
    """Writes everything that lives as JSON Lines."""

    def __init__(self, stores: Stores, truth: Truth, reading: Reading) -> None:
        """Export `truth`."""
        self._stores = stores
        self._truth = truth
        self._reading = reading

    async def export(self, namespaces: Sequence[str] | None) -> AsyncGenerator[bytes]:
        """Export; see `MemoryEngine.export`."""
        if namespaces is None:
            chosen = await self._reading.namespaces()
        else:
            chosen = [check_name(namespace, field="namespaces") for namespace in namespaces]
        seal = Seal()
        yield _sealed(seal, header_document())
        for namespace in chosen:
            async for document in self._memories(namespace):
                seal.count(str(document["kind"]))
                yield _sealed(seal, document)
        for namespace in chosen:
            async for document in self._links(namespace):
                seal.count("link")
                yield _sealed(seal, document)
        yield msgspec.json.encode(seal.footer_document())

    async def _memories(self, namespace: str) -> AsyncGenerator[dict[str, JsonValue]]:
        portion = Portion()
        async for page in self._truth.pages(namespace, MEMORY):
            living = await inline_or_apart(
                partial(self._living, namespace, page),
                cost=sum(len(entry.value) for _, entry in page),
                limit=MAX_BYTES_INLINE,
            )
            while living:
                # What they have replaced may be much larger than they are.
                part, living = living[: portion.size], living[portion.size :]
                older = await self._older(namespace, part)
                portion.took([sum(len(entry.value) for _, entry in each) for each in older])
                async for document in self._whole(namespace, part, older):
                    yield document

    def _living(self, namespace: str, page: Sequence[tuple[bytes, Entry]]) -> list[_Living]:
        now = self._stores.clock.now()
        return [
            _Living(Coordinate.from_key(key[1:]), entry, state.version, state.record)
            for key, entry in page
            if (state := self._truth.memory_state(namespace, key, entry)).record is not None
            and state.record.alive(now)
        ]

    async def _whole(
        self,
        namespace: str,
        living: Sequence[_Living],
        older: Sequence[Sequence[tuple[bytes, Entry]]],
    ) -> AsyncGenerator[dict[str, JsonValue]]:
        """Tell of memories, how often they were read, and what they have replaced."""
        keys = [memory_key(one.coordinate) for one in living]
        keys += [access_key(one.coordinate) for one in living]
        entries = await self._stores.kv.get_many(namespace, keys)
        now_there, reads = entries[: len(living)], entries[len(living) :]
        turns = Turns()
        for one, present, read, old_ones in zip(living, now_there, reads, older, strict=True):
            # Whoever takes the lines may wait for nothing in between.
            await turns.between()
            if self._gone(namespace, one, present):
                continue
            access = self._truth.access(namespace, access_key(one.coordinate), read)
            memory = self._truth.memory(namespace, one.coordinate, one.version, one.record)
            yield memory_document(memory, access)
            for key, entry in reversed(old_ones):
                yield self._old(namespace, one.coordinate, key, entry)

    async def _older(
        self, namespace: str, living: Sequence[_Living]
    ) -> list[list[tuple[bytes, Entry]]]:
        """Read what the versions at hand have replaced, the newest first.

        What was current when it was read may be history by now, and what has replaced it, too.
        """
        limit = self._stores.settings.history_limit
        if not limit:
            return [[] for _ in living]
        ranges = [
            KeyRange(
                history_key(one.coordinate, one.record.purged + 1),
                history_key(one.coordinate, one.version),
                reverse=True,
            )
            for one in living
        ]
        return await self._stores.kv.scan(namespace, ranges, limit=limit)

    def _gone(self, namespace: str, one: _Living, present: Entry | None) -> bool:
        """Tell whether a memory was purged since it was read: then nothing tells of it any more."""
        if present == one.entry:
            return False
        state = self._truth.memory_state(namespace, memory_key(one.coordinate), present)
        return state.record is None or state.record.purged >= one.version

    def _old(
        self, namespace: str, coordinate: Coordinate, key: bytes, entry: Entry
    ) -> dict[str, JsonValue]:
        record = self._truth.memory_record(namespace, key, entry)
        return history_document(self._truth.memory(namespace, coordinate, entry.version, record))

    async def _links(self, namespace: str) -> AsyncGenerator[dict[str, JsonValue]]:
        async for page in self._truth.pages(namespace, LINK):
            ends = await self._truth.link_ends(namespace, [key for key, _ in page])
            now = self._stores.clock.now()
            for (key, entry), (source, target) in zip(page, ends, strict=True):
                state = self._truth.link_state(namespace, key, entry)
                if state.record is not None and link_alive(state.record, source, target, now):
                    link = link_of(key, state.version, state.record)
                    yield link_document(namespace, link) | _lives(source, target)


def _lives(source: MemoryRecord | None, target: MemoryRecord | None) -> dict[str, JsonValue]:
    """Say which lives a link belongs to: since when its ends live."""
    ends = {"from_created_at": source, "to_created_at": target}
    return {name: end.created_at.isoformat() for name, end in ends.items() if end is not None}


def _sealed(seal: Seal, document: dict[str, JsonValue]) -> bytes:
    line = msgspec.json.encode(document)
    seal.add(line)
    return line
