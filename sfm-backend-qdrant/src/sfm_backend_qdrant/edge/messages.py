"""What the store and its worker process say to each other.

Each message is a length of four bytes, and as many bytes of MessagePack.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import msgspec

LENGTH_BYTES: Final = 4


class Message(msgspec.Struct, array_like=True, frozen=True, tag=True):
    """Base of what the worker is asked."""


class Start(Message, frozen=True):
    """Open the folder; always the first.

    Attributes:
        folder: Where the collections are.
        durable: Whether writes wait for the disk.
        wait_seconds: How long to wait for another process to leave the folder.
        scan_kilobytes: Up to how many vectors are compared one by one.
        step_kilobytes: At least how many have to be new before the graph is extended.
    """

    folder: str
    durable: bool
    wait_seconds: float
    scan_kilobytes: int
    step_kilobytes: int


class Names(Message, frozen=True):
    """List the collections."""


class Dimension(Message, frozen=True):
    """Tell the dimension of a collection."""

    name: str


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A payload index, as the client's models write it."""

    type: str
    is_tenant: bool | None = None
    lookup: bool | None = None
    range: bool | None = None
    nested: str | None = None
    enable_hnsw: bool | None = None


class Create(Message, frozen=True):
    """Make a collection."""

    name: str
    dimension: int
    indexes: dict[str, Index]


class Complete(Message, frozen=True):
    """Make the indexes that a collection lacks."""

    name: str
    indexes: dict[str, Index]


class Written(msgspec.Struct, array_like=True, frozen=True):
    """A point; its vector is float32 in the order of this machine."""

    id: str
    vector: bytes
    words: dict[int, float]
    fields: dict[str, object]


class Upsert(Message, frozen=True):
    """Write points."""

    name: str
    points: list[Written]


class Delete(Message, frozen=True):
    """Remove points."""

    name: str
    ids: list[str]


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a field equals, as the client's models write it."""

    value: str | int | None = None
    any: list[int] | None = None


class Range(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Between what a field is, as the client's models write it."""

    lt: float | None = None
    gt: float | None = None
    lte: float | None = None
    gte: float | None = None


class Nested(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an element of an array satisfies, as the client's models write it."""

    key: str
    filter: Condition


class Condition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A condition on points, as the client's models write it.

    What they have beyond these fields is refused, not passed over.
    """

    key: str | None = None
    match: Match | None = None
    range: Range | None = None
    nested: Nested | None = None
    must: list[Condition] | None = None
    should: list[Condition] | None = None
    must_not: list[Condition] | None = None


class AskedArm(msgspec.Struct, array_like=True, frozen=True):
    """See `_asking.Arm`; the vector is float32 in the order of this machine."""

    using: str
    vector: bytes | None
    words: dict[int, float] | None


class Asked(msgspec.Struct, array_like=True, frozen=True):
    """See `_asking.Ask`."""

    arms: list[AskedArm]
    condition: Condition
    corpus: Condition
    fields: list[str]
    size: int


class Query(Message, frozen=True):
    """Search."""

    name: str
    asks: list[Asked]


class Scroll(Message, frozen=True):
    """List points; see `_qdrant.Qdrant.scroll`."""

    name: str
    condition: Condition
    fields: list[str]
    size: int
    key: str | None
    start: int | None
    offset: str | None


class Drop(Message, frozen=True):
    """Remove a collection."""

    name: str


class Maintain(Message, frozen=True):
    """Write everything to the disk, and begin to extend the graphs that have fallen behind."""


class Rewrite(Message, frozen=True):
    """Begin to write a collection anew, without what was removed; answers which shard goes."""

    name: str


class Remains(Message, frozen=True):
    """Tell whether a shard that is to go is still there."""

    name: str
    shard: str


class EdgeFound(msgspec.Struct, array_like=True, frozen=True):
    """See `_asking.Found`."""

    id: str
    fields: dict[str, object]
    score: float = 0.0


class EdgePage(msgspec.Struct, array_like=True, frozen=True):
    """See `_asking.Page`."""

    points: list[EdgeFound]
    offset: str | None


Call: TypeAlias = (
    Start
    | Names
    | Dimension
    | Create
    | Complete
    | Upsert
    | Delete
    | Query
    | Scroll
    | Drop
    | Maintain
    | Rewrite
    | Remains
)


class Request(msgspec.Struct, array_like=True, frozen=True):
    """A call with a number, which its answer bears as well."""

    number: int
    call: Call


class Problem(msgspec.Struct, array_like=True, frozen=True):
    """Why there is no result.

    Attributes:
        kind: "missing", "exists", "held", "full", "read-only", "corrupt" or "failed".
        text: In words.
    """

    kind: str
    text: str


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """What became of a call.

    Attributes:
        number: That of the request.
        result: In MessagePack; its type is that of the call.
        problem: Why there is none.
    """

    number: int
    result: msgspec.Raw
    problem: Problem | None = None


def framed(message: Request | Answer) -> bytes:
    """Return what is sent."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH_BYTES) + body
