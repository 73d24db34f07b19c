"""Reading the truth: entries become records, records become memories and links."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from sfm_core.engine.apart import MAX_BYTES_INLINE, inline_or_apart
from sfm_core.engine.portions import Portion
from sfm_core.engine.walking import pages_of
from sfm_core.errors import BackendError, CorruptDataError, EncryptionKeyError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import memory_key, parse_link_key
from sfm_core.model.link import Link
from sfm_core.model.memory import AccessStatistics, Memory
from sfm_core.model.payload import Payload
from sfm_core.model.record import (
    EMPTY_PAYLOAD,
    LinkRecord,
    MemoryRecord,
    decode_access,
    decode_link,
    decode_memory,
    decode_payload,
)
from sfm_core.model.sealed import sealed_with
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.kv import Entry, KeyValueStore

_ENDS: Final = 128
"""Ends of links that are read at first: hardly a call has more, and none waits for a second one."""


@dataclass(frozen=True, slots=True)
class MemoryState:
    """What the truth says under a memory key.

    Attributes:
        version: Version of the entry; 0 where there is none.
        record: What it says, alive or not; `None` where there is no entry.
    """

    version: int = 0
    record: MemoryRecord | None = None


@dataclass(frozen=True, slots=True)
class LinkState:
    """What the truth says under a link key.

    Attributes:
        version: Version of the entry; 0 where there is none.
        record: What it says, deleted or not; `None` where there is no entry.
    """

    version: int = 0
    record: LinkRecord | None = None


class Truth:
    """Reads memories and links from the key-value store."""

    def __init__(self, kv: KeyValueStore) -> None:
        """Read from `kv`, which must be open."""
        self._kv = kv

    async def memories(
        self, namespace: str, coordinates: Sequence[Coordinate]
    ) -> list[MemoryState]:
        """Read what is at many coordinates, dead or alive, in as few round trips as possible.

        Args:
            namespace: Where to read.
            coordinates: Which memories.

        Returns:
            One state per coordinate, in order.

        Raises:
            CorruptDataError: An entry is no memory record.
        """
        keys = [memory_key(coordinate) for coordinate in coordinates]
        entries = await self.entries(namespace, keys)

        def decoded() -> list[MemoryState]:
            return [
                self.memory_state(namespace, key, entry)
                for key, entry in zip(keys, entries, strict=True)
            ]

        size = sum(len(entry.value) for entry in entries if entry is not None)
        return await inline_or_apart(decoded, cost=size, limit=MAX_BYTES_INLINE)

    async def links(self, namespace: str, keys: Sequence[bytes]) -> list[LinkState]:
        """Read many links, dead or alive, in as few round trips as possible.

        Args:
            namespace: Where to read.
            keys: Link keys.

        Returns:
            One state per key, in order.

        Raises:
            CorruptDataError: An entry is no link record.
        """
        entries = await self.entries(namespace, keys)
        return [
            self.link_state(namespace, key, entry) for key, entry in zip(keys, entries, strict=True)
        ]

    async def pages(self, namespace: str, kind: bytes) -> AsyncGenerator[list[tuple[bytes, Entry]]]:
        """Go through all entries of a kind, a page at a time.

        Args:
            namespace: Where to read.
            kind: First byte of their keys, or more of them.

        Yields:
            Keys and entries in byte order of the keys; no page is empty.

        Raises:
            BackendError: The truth did not answer.
        """
        async for page in pages_of(self._kv, namespace, kind):
            yield page

    async def link_ends(
        self, namespace: str, keys: Sequence[bytes]
    ) -> list[tuple[MemoryRecord | None, MemoryRecord | None]]:
        """Read the memories at both ends of many links, each once.

        Args:
            namespace: Where the links are.
            keys: Link keys.

        Returns:
            What the truth says of source and target, without their payloads, in the
            order of `keys`.

        Raises:
            CorruptDataError: An entry is no memory record.
        """
        ends = [(source, target) for source, _, target in map(parse_link_key, keys)]
        wanted = list(dict.fromkeys(end for pair in ends for end in pair))
        known: dict[Coordinate, MemoryRecord | None] = {}
        portion = Portion(first=_ENDS, most=MAX_BATCH)
        while wanted:
            asked, wanted = wanted[: portion.size], wanted[portion.size :]
            states = await self.memories(namespace, asked)
            records = [state.record for state in states]
            portion.took([len(record.payload) for record in records if record is not None])
            known.update(zip(asked, map(_without_payload, records), strict=True))
        return [(known[source], known[target]) for source, target in ends]

    async def entries(self, namespace: str, keys: Sequence[bytes]) -> list[Entry | None]:
        """Read any number of entries, though one call of the store takes only so many.

        Args:
            namespace: Where to read.
            keys: Keys to read.

        Returns:
            One element per key, in order; `None` where the key is absent.

        Raises:
            BackendError: The truth did not answer.
        """
        found: list[Entry | None] = []
        for start in range(0, len(keys), MAX_BATCH):
            found += await self._kv.get_many(namespace, keys[start : start + MAX_BATCH])
        return found

    def memory_state(self, namespace: str, key: bytes, entry: Entry | None) -> MemoryState:
        """Decode an entry under a memory or history key.

        Args:
            namespace: Where it was read, for the error.
            key: Its key, for the error.
            entry: The entry.

        Returns:
            Its state.

        Raises:
            CorruptDataError: The entry is no memory record.
        """
        if entry is None:
            return MemoryState()
        return MemoryState(entry.version, self.memory_record(namespace, key, entry))

    def memory_record(self, namespace: str, key: bytes, entry: Entry) -> MemoryRecord:
        """Decode an entry that is there.

        Args:
            namespace: Where it was read, for the error.
            key: Its key, for the error.
            entry: The entry.

        Returns:
            What it says.

        Raises:
            CorruptDataError: The entry is no memory record.
        """
        try:
            return decode_memory(entry.value)
        except ValueError as error:
            raise self._unreadable(namespace, key, entry.value, error) from error

    def link_state(self, namespace: str, key: bytes, entry: Entry | None) -> LinkState:
        """Decode an entry under a link key.

        Args:
            namespace: Where it was read, for the error.
            key: Its key, for the error.
            entry: The entry.

        Returns:
            Its state.

        Raises:
            CorruptDataError: The entry is no link record.
        """
        if entry is None:
            return LinkState()
        try:
            return LinkState(entry.version, decode_link(entry.value))
        except ValueError as error:
            raise self._unreadable(namespace, key, entry.value, error) from error

    def access(self, namespace: str, key: bytes, entry: Entry | None) -> AccessStatistics:
        """Decode access statistics; none were kept where there is no entry.

        Args:
            namespace: Where it was read, for the error.
            key: Its key, for the error.
            entry: The entry.

        Returns:
            The statistics.

        Raises:
            CorruptDataError: The entry is no such record.
        """
        if entry is None:
            return AccessStatistics()
        try:
            return decode_access(entry.value)
        except ValueError as error:
            raise self._unreadable(namespace, key, entry.value, error) from error

    def memory(
        self, namespace: str, coordinate: Coordinate, version: int, record: MemoryRecord
    ) -> Memory:
        """Make the memory that a record describes.

        Args:
            namespace: Where it lives.
            coordinate: Where it lives there.
            version: Version of its entry.
            record: The record.

        Returns:
            The memory, with its payload decoded.

        Raises:
            CorruptDataError: The payload is no JSON object.
        """
        return Memory(
            namespace=namespace,
            coordinate=coordinate,
            payload=self.payload(namespace, coordinate, record),
            type=record.type,
            importance=record.importance,
            version=version,
            created_at=record.created_at,
            updated_at=record.updated_at,
            expires_at=record.expires_at,
            episode=record.episode,
            born=record.born,
        )

    def payload(self, namespace: str, coordinate: Coordinate, record: MemoryRecord) -> Payload:
        """Decode the payload of a memory.

        Args:
            namespace: Where it lives, for the error.
            coordinate: Where it lives there, for the error.
            record: The memory.

        Returns:
            The payload.

        Raises:
            CorruptDataError: It is no JSON object.
        """
        try:
            return decode_payload(record.payload)
        except ValueError as error:
            raise self._unreadable(namespace, memory_key(coordinate), b"", error) from error

    def _unreadable(
        self, namespace: str, key: bytes, value: bytes, error: Exception
    ) -> BackendError:
        key_id = sealed_with(value)
        if key_id is not None:
            return EncryptionKeyError(
                f"The entry {key.hex()} of namespace {namespace!r} is encrypted with the key "
                f"{key_id!r}, and could not be decrypted.",
                backend=self._kv.scheme,
                key_id=key_id,
                remedy="See that this key is in SFM_ENCRYPTION_KEYS_FILE, unless it was destroyed.",
            )
        return CorruptDataError(
            f"The entry {key.hex()} of namespace {namespace!r} cannot be read: {error}",
            backend=self._kv.scheme,
            remedy="Restore it from an export; the other entries are not affected.",
        )


def _without_payload(record: MemoryRecord | None) -> MemoryRecord | None:
    return record and msgspec.structs.replace(record, payload=EMPTY_PAYLOAD)


def link_of(key: bytes, version: int, record: LinkRecord) -> Link:
    """Make the link that a record describes."""
    source, link_type, target = parse_link_key(key)
    return Link(
        source=source,
        target=target,
        type=link_type,
        weight=record.weight,
        version=version,
        updated_at=record.updated_at,
    )


def link_alive(
    link: LinkRecord, source: MemoryRecord | None, target: MemoryRecord | None, now: datetime
) -> bool:
    """Tell whether a link exists: both its ends live the life it was made in."""
    return (
        not link.deleted
        and source is not None
        and target is not None
        and source.alive(now)
        and target.alive(now)
        and source.born == link.source_born
        and target.born == link.target_born
    )
