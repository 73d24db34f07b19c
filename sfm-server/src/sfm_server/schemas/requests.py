"""Bodies of requests. Lists stop at their first fault, of which there may be a million."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from pydantic.config import JsonDict

from sfm_core.engine.clearing import MAX_EXAMINED
from sfm_core.model.link import MAX_WEIGHT
from sfm_server.schemas.body import Body
from sfm_server.schemas.values import TypeName


def _without_length(schema: JsonDict) -> None:
    """Leave out a length that is only there to end early: what knows coordinates allows less."""
    del schema["maxItems"]


_Components = Annotated[
    list[float], Field(max_length=1000, fail_fast=True, json_schema_extra=_without_length)
]
Coord = Annotated[
    str | _Components,
    Field(
        description='Comma-separated finite numbers, such as "1.5,2,-3", or an array of them.',
        examples=["1.5,2,-3"],
    ),
]
Object = Annotated[
    dict[str, object],
    Field(description="The JSON object to keep.", examples=[{"text": "Anna moved to Oslo."}]),
]
Filters = Annotated[
    dict[str, object] | None,
    Field(
        description="Only memories whose payload matches. Equality or "
        "`$eq $ne $gt $gte $lt $lte $in $nin $exists $contains` on dotted paths, "
        "combined with `$and $or $not`.",
        examples=[{"topic": "travel", "year": {"$gte": 2024}}],
    ),
]
Version = Annotated[
    int | None,
    Field(
        ge=0,
        le=2**63 - 1,
        description="Only if the memory is at this version; 0 means that there is none.",
    ),
]
Importance = Annotated[float, Field(ge=0, le=1, description="0 (trivial) to 1 (vital).")]
Name = Annotated[str, Field(min_length=1, max_length=128)]
Names = Annotated[list[Name], Field(fail_fast=True)]
MAX_TTL_SECONDS = 365_000 * 86_400
_HOUR_MS = 3_600_000


class Request(Body):
    """What every body can say."""

    namespace: Name | None = Field(
        default=None,
        description="Namespace; otherwise that of the header `X-SFM-Namespace`, or the default.",
        examples=["travel-agent"],
    )


class EpisodeBody(Body):
    """Membership in a course of events, such as one conversation."""

    name: Name = Field(description="Name of the episode.", examples=["call-17"])
    order: float = Field(description="Place inside the episode.", examples=[3])


class MemoryBody(Body):
    """What can be said about a memory that is to be stored."""

    payload: Object
    type: TypeName = Field(default="episodic", description="Kind of memory.")
    importance: Importance | None = Field(default=None)
    ttl_seconds: float | None = Field(
        default=None, gt=0, le=MAX_TTL_SECONDS, description="How long it is to live from now on."
    )
    episode: EpisodeBody | None = Field(default=None)


class ItemBody(MemoryBody):
    """One memory of a bulk request."""

    coord: Coord
    expected_version: Version = None


class StoreRequest(Request, ItemBody):
    """Store one memory at a coordinate."""


class RememberRequest(Request, MemoryBody):
    """Store one memory; without a coordinate it is given one."""

    coord: Coord | None = None


class StoreBulkRequest(Request):
    """Store many memories."""

    items: list[ItemBody] = Field(fail_fast=True)


class RecallOptions(Request):
    """How to recall."""

    top_k: int = Field(default=5, ge=1, description="How many memories at most.")
    type: TypeName | None = Field(default=None, description="Only memories of this type.")
    filters: Filters = None
    mode: Literal["hybrid", "dense", "keyword"] = Field(
        default="hybrid", description="Which searches take part."
    )
    min_position: str | None = Field(
        default=None,
        description="Wait until the index has the writes that have answered this position, "
        "with commas between several. If that takes too long, the answer is `stale`.",
    )
    deadline_ms: int | None = Field(
        default=None,
        ge=1,
        le=_HOUR_MS,
        description="Answer within so many milliseconds, with what is there by then: "
        "`left_out` names the searches that are late.",
    )
    as_of: str | None = Field(
        default=None,
        description="Show and judge what is found as it was at this time (RFC 3339), as far as "
        "history is kept. What is searched is what is there now.",
        examples=["2026-02-03T04:05:06Z"],
    )


class RecallRequest(RecallOptions):
    """Recall what answers a query."""

    query: str = Field(description="The question or cue.", examples=["Where does Anna live?"])
    explain: bool = Field(default=False, description="Whether to say what each score is made of.")
    why_not: Coord | None = Field(
        default=None, description="Tell of the memory at this coordinate why it is not recalled."
    )


class RecallBatchRequest(RecallOptions):
    """Recall for many queries at once."""

    queries: list[str] = Field(
        fail_fast=True, description="The questions.", examples=[["Where does Anna live?"]]
    )


class RecallWithScoresRequest(RecallRequest):
    """Recall along with scores."""


class RecallWithContextRequest(RecallWithScoresRequest):
    """Recall in the light of what is going on."""

    context: str | dict[str, object] = Field(
        description="What is going on now, as text or as an object whose values are read. "
        "It weighs less than the query.",
        examples=["Planning a trip to Norway"],
    )


class PutRequest(Request, MemoryBody):
    """Store one memory at the coordinate of the path."""

    expected_version: Version = None


class LinkRequest(Request):
    """Link two memories."""

    from_coord: Coord
    to_coord: Coord
    type: Name = Field(default="related", description="What the link means.")
    weight: float = Field(default=1.0, ge=0, le=MAX_WEIGHT, description="Cost of following it.")


class UnlinkRequest(Request):
    """Remove a link."""

    from_coord: Coord
    to_coord: Coord
    type: Name = Field(default="related", description="What the link means.")


class DeleteManyRequest(Request):
    """Delete many memories: those at `coords`, or those that `filters` and `type` pick."""

    coords: Annotated[list[Coord], Field(fail_fast=True)] | None = Field(
        default=None, description="These memories, and nothing else."
    )
    filters: Filters = None
    type: TypeName | None = Field(default=None, description="Only memories of this type.")
    dry_run: bool = Field(default=False, description="Whether only to count them.")
    limit: int = Field(
        default=10_000,
        ge=1,
        le=MAX_EXAMINED,
        description="With `filters` or `type`: how many memories to look at. "
        "If there are more, the answer has `next_cursor`.",
    )
    cursor: str | None = Field(
        default=None, description="Where to go on: `next_cursor` of the answer before."
    )
    purge: bool = Field(
        default=False,
        description="Whether their history, and what every store has of them, goes too.",
    )


class ExportRequest(Body):
    """Write an export to a file of the export folder."""

    path: str = Field(
        min_length=1, max_length=1024, description="Inside the export folder.", examples=["a.jsonl"]
    )
    namespaces: Names | None = Field(
        default=None, description="Only these namespaces; all when it is left out."
    )


class CheckRequest(Body):
    """Compare the derived stores with the truth."""

    repair: bool = Field(default=False, description="Whether to put differences right.")


class ReplayRequest(Body):
    """Tell events again."""

    since: str = Field(
        alias="from",
        description="What was written from this time on; without an offset it is UTC.",
        examples=["2026-02-03T04:05:06Z"],
    )
    namespaces: Names | None = Field(
        default=None, description="Only these namespaces; all when it is left out."
    )
    dry_run: bool = Field(default=False, description="Whether only to count.")
