"""The types of what is used of the driver's consumer, which has none."""

# ruff: noqa: PYI046
# pyright: reportUnusedClass=false
# They are used by the modules beside this one.

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from typing import Protocol

from sfm_eventing_kafka._record import Received


class _Place(Protocol):
    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...


class _Offset(Protocol):
    @property
    def offset(self) -> int: ...


class _Client(Protocol):
    def force_metadata_update(self) -> Awaitable[bool]: ...
    def send(self, node: int, request: object, *, group: object) -> Awaitable[object]: ...
    async def close(self) -> None: ...


class _Coordinator(Protocol):
    generation: int
    member_id: str
    group_id: str
    coordinator_id: int | None
    _coordination_task: asyncio.Task[object]

    def check_errors(self) -> None: ...
    def reset_generation(self) -> None: ...
    async def fetch_committed_offsets(
        self, partitions: Sequence[_Place]
    ) -> Mapping[_Place, _Offset]: ...
    async def _do_commit_offsets(
        self, assignment: object, offsets: Mapping[_Place, object]
    ) -> None: ...


class _Fetcher(Protocol):
    _fetch_task: asyncio.Task[object]

    async def close(self) -> None: ...


class _Consumer(Protocol):
    _client: _Client
    _coordinator: _Coordinator | None
    _fetcher: _Fetcher | None

    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    def subscribe(self, topics: Sequence[str], *, listener: object) -> None: ...
    def assign(self, partitions: Sequence[_Place]) -> None: ...
    def seek(self, partition: _Place, offset: int) -> None: ...
    def partitions_for_topic(self, topic: str) -> set[int] | None: ...
    async def position(self, partition: _Place) -> int: ...
    async def beginning_offsets(self, partitions: Sequence[_Place]) -> Mapping[_Place, int]: ...
    async def end_offsets(self, partitions: Sequence[_Place]) -> Mapping[_Place, int]: ...
    async def getmany(
        self, *, timeout_ms: float, max_records: int
    ) -> Mapping[_Place, Sequence[Received]]: ...
