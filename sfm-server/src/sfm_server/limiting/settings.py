"""Settings of limits on requests, work and clients."""

from __future__ import annotations

from pydantic import BaseModel, Field

from sfm_server.setting_kinds import MODEL, Count, Seconds


class LimitSettings(BaseModel):
    """How much is taken on."""

    model_config = MODEL

    rate_limit_max: int = Field(
        default=5000,
        ge=0,
        le=2**31,
        validation_alias="SOMA_RATE_LIMIT_MAX",
        description="Requests a minute to each endpoint, for each token, or address where there "
        "is none, over all workers; 0 for no limit.",
    )
    max_reads: Count = Field(default=200, description="Most reads that a worker does at once.")
    max_writes: Count = Field(default=200, description="Most writes that a worker does at once.")
    max_streams: Count = Field(
        default=100, description="Most streams and long polls of events that a worker serves."
    )
    max_admin: Count = Field(
        default=4,
        description="Most exports, imports and other work on whole namespaces that a worker "
        "does at once.",
    )
    max_waiting: int = Field(
        default=1000,
        ge=0,
        le=2**31,
        description="Most requests of each kind that wait for their turn.",
    )
    max_wait_seconds: Seconds = Field(
        default=5.0, description="Longest that a request waits for its turn."
    )
    max_arriving_bytes: int = Field(
        default=256 * 1024 * 1024,
        ge=1024,
        le=2**40,
        description="Most bytes of request bodies that a worker holds at once.",
    )
    max_connections: Count = Field(
        default=2000, description="Most connections that a worker keeps open."
    )
    head_seconds: Seconds = Field(
        default=10.0, description="Longest that the head of a request may take to arrive."
    )
    body_seconds: Seconds = Field(
        default=30.0,
        description="How long a body may stand still, or come at less than 1000 bytes a second.",
    )
    slow_reader_seconds: Seconds = Field(
        default=60.0,
        description="How long a client may take nothing of an answer before it is cut off.",
    )
