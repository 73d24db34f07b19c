"""The dead letters: a topic in which the last record of a key is all that counts.

It is read without joining a group: from its beginning to the end that it has
at that moment, twice. The first time, places alone are noted, so that letters
that were let go since cost no memory; the second time, what was asked for.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import groupby
from typing import Final, NamedTuple

from aiokafka.errors import KafkaTimeoutError

from sfm_eventing_kafka._brokers import Brokers
from sfm_eventing_kafka._driver_reader import Reader, make_reader
from sfm_eventing_kafka._record import Received

# How many places are noted at once. Where there are more letters, the topic is read once more
# for those that room is found for.
_NOTED: Final = 50_000
_AT_ONCE: Final = 1000
_GLANCE: Final = timedelta(milliseconds=200)


class _Noted(NamedTuple):
    """Where a letter lies; they are ordered by age."""

    timestamp: int
    offset: int
    partition: int


@asynccontextmanager
async def letters_of(brokers: Brokers) -> AsyncGenerator[Letters]:
    """Open the topic of the dead letters, as it is now.

    Args:
        brokers: Where it is.

    Yields:
        The letters; none where there is no such topic.
    """
    settings = brokers.settings
    reader = make_reader(settings, brokers.tls, settings.letters)
    try:
        async with asyncio.timeout(settings.timeout.total_seconds()):
            partitions = await brokers.partitions(settings.letters)
            await reader.start()
        yield Letters(reader, range(partitions), settings.timeout)
    finally:
        await reader.end()


class Letters:
    """The letters that are on the topic."""

    def __init__(self, reader: Reader, partitions: Collection[int], patience: timedelta) -> None:
        self._reader = reader
        self._partitions = partitions
        self._patience = patience

    async def oldest(self, limit: int) -> AsyncGenerator[Received]:
        """Go through the oldest letters, oldest first.

        Args:
            limit: Most letters.

        Yields:
            Their records.
        """
        noted: list[_Noted] = []
        for partition in self._partitions:
            noted += sorted((await self._note(partition, limit)).values())[:limit]
        async for record in self._fetch(sorted(noted)[:limit]):
            yield record

    async def all(self) -> AsyncGenerator[Received]:
        """Go through all letters, oldest first; see `oldest`."""
        async for record in self.oldest(sys.maxsize):
            yield record

    async def named(self, places: Collection[str]) -> AsyncGenerator[Received]:
        """Go through the letters that are named, oldest first.

        Args:
            places: Their places.

        Yields:
            The records of those that there are.
        """
        noted = await self._note_named(places)
        async for record in self._fetch(sorted(noted.values())):
            yield record

    async def present(self, places: Collection[str]) -> list[str]:
        """Return those of some places that there is a letter for."""
        noted = await self._note_named(places)
        return [place for place in dict.fromkeys(places) if place.encode() in noted]

    async def _note_named(self, places: Collection[str]) -> dict[bytes, _Noted]:
        keys = frozenset(place.encode() for place in places)
        noted: dict[bytes, _Noted] = {}
        for partition in self._partitions:
            noted |= await self._note(partition, len(keys), keys.__contains__)
        return noted

    async def _note(
        self, partition: int, limit: int, wanted: Callable[[bytes], bool] = bool
    ) -> dict[bytes, _Noted]:
        """Note where the letters of a partition lie, the oldest ones at least."""
        noted: dict[bytes, _Noted] = {}
        most = max(limit, _NOTED)
        async with asyncio.timeout(self._patience.total_seconds()):
            begin: int | None = (await self._reader.firsts([partition]))[partition]
            end = (await self._reader.ends([partition]))[partition]
        while begin is not None and len(noted) < limit:
            left_out: int | None = None
            async for record in self._records(partition, begin, end):
                key = record.key or b""
                known = noted.get(key)
                if record.value is None:
                    # What was noted in the round before may be newer than this.
                    if known is not None and known.offset < record.offset:
                        del noted[key]
                elif not wanted(key):
                    continue
                elif known is not None or (left_out is None and len(noted) < most):
                    noted[key] = _Noted(record.timestamp, record.offset, partition)
                elif left_out is None:
                    left_out = record.offset
            begin = left_out
        return noted

    async def _fetch(self, noted: Sequence[_Noted]) -> AsyncGenerator[Received]:
        for partition, run in groupby(noted, key=lambda one: one.partition):
            offsets = {one.offset for one in run}
            async for record in self._records(partition, min(offsets), max(offsets) + 1):
                if record.offset in offsets:
                    yield record

    async def _records(self, partition: int, begin: int, end: int) -> AsyncGenerator[Received]:
        """Go through a part of a partition, and what comes along with its last record.

        Raises:
            KafkaTimeoutError: Nothing came for too long.
        """
        self._reader.assign(partition, begin)
        last = time.monotonic()
        while (position := await self._reader.position(partition)) < end:
            batches = await self._reader.take(_AT_ONCE, _GLANCE)
            for record in batches.get(partition, ()):
                yield record
            if await self._reader.position(partition) > position:
                last = time.monotonic()
            elif time.monotonic() - last > self._patience.total_seconds():
                raise KafkaTimeoutError("nothing comes of the dead letters")
