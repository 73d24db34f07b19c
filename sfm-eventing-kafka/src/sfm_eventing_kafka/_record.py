"""Records: what is sent to a topic, and what is read from one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeAlias

Header: TypeAlias = tuple[str, bytes | None]


class Record(NamedTuple):
    """What is sent.

    Attributes:
        key: Its key.
        value: Its value.
        headers: Its headers.
        timestamp: Its time, in milliseconds since 1970; `None` for that of publishing.
    """

    key: bytes | None
    value: bytes | None
    headers: list[Header]
    timestamp: int | None = None


class Addressed(NamedTuple):
    """A record, and where it belongs.

    Attributes:
        topic: On which topic.
        partition: In which partition, where the record has no key to tell.
        record: What it is.
    """

    topic: str
    partition: int
    record: Record


class Received(Protocol):
    """What was read: a record, and where it lies."""

    @property
    def topic(self) -> str:
        """On which topic."""
        ...

    @property
    def partition(self) -> int:
        """In which partition."""
        ...

    @property
    def offset(self) -> int:
        """Where in the partition."""
        ...

    @property
    def timestamp(self) -> int:
        """Its time, in milliseconds since 1970."""
        ...

    @property
    def key(self) -> bytes | None:
        """Its key."""
        ...

    @property
    def value(self) -> bytes | None:
        """Its value."""
        ...

    @property
    def headers(self) -> Sequence[Header]:
        """Its headers."""
        ...
