"""Export as a stream of JSON Lines.

An export begins with a header and ends with a footer, which counts what came
between and has its checksum, so that a file that was cut short or changed is
recognised.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

import msgspec

from sfm_core.engine.portable import history_document, link_document, memory_document
from sfm_core.engine.reading import Reading
from sfm_core.engine.sealing import Seal, header_document
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth, link_alive, link_of
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import HISTORY, LINK, MEMORY, KeyRange, access_key
from sfm_core.model.names import check_name
from sfm_core.model.payload import JsonValue
from sfm_core.protocols.kv import Entry


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
        async for page in self._truth.pages(namespace, MEMORY):
            coordinates = [Coordinate.from_key(key[1:]) for key, _ in page]
            reads = await self._stores.kv.get_many(namespace, list(map(access_key, coordinates)))
            ranges = [KeyRange.prefix(HISTORY + coordinate.key) for coordinate in coordinates]
            older = await self._stores.kv.scan(
                namespace, ranges, limit=max(1, self._stores.settings.history_limit)
            )
            now = self._stores.clock.now()
            for at, (key, entry) in enumerate(page):
                state = self._truth.memory_state(namespace, key, entry)
                if state.record is None or not state.record.alive(now):
                    continue
                access = self._truth.access(namespace, access_key(coordinates[at]), reads[at])
                memory = self._truth.memory(namespace, coordinates[at], state.version, state.record)
                yield memory_document(memory, access)
                for old_key, old in older[at]:
                    yield self._old(namespace, coordinates[at], old_key, old)

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
                    yield link_document(namespace, link_of(key, state.version, state.record))


def _sealed(seal: Seal, document: dict[str, JsonValue]) -> bytes:
    line = msgspec.json.encode(document)
    seal.add(line)
    return line
