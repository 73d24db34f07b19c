"""What can be chosen about the server, and how it becomes settings of the engine."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Literal

import platformdirs
from pydantic import Field, SecretStr

from sfm_core.model.payload import PayloadLimits
from sfm_core.protocols import MAX_BATCH
from sfm_core.settings import EngineSettings, Indexing, Limits, RankingSettings
from sfm_core.text.composing import TextRule
from sfm_server.access.settings import AccessSettings
from sfm_server.encryption.settings import EncryptionSettings
from sfm_server.limiting.settings import LimitSettings
from sfm_server.setting_kinds import (
    MODEL,
    PREFIX,
    Count,
    Names,
    Seconds,
    Share,
    Weight,
    Weights,
)

PLUGIN_PREFIX = "SFM_PLUGIN_"
"""Begins variables that are for third parties' backends to define."""
_ENGINE = EngineSettings()
_RANKING = _ENGINE.ranking
_LIMITS = _ENGINE.limits
_TEXT = _ENGINE.text


def _default_data_folder() -> Path:
    return Path(platformdirs.user_data_dir("somafractalmemory", appauthor=False))


class Settings(AccessSettings, LimitSettings, EncryptionSettings):
    """Every setting of the server.

    A field is set by the environment variable `SFM_` + its name in capitals,
    unless it names another one. `load_settings` reads the environment; this
    class never does.
    """

    model_config = MODEL

    memory_mode: str = Field(
        default="embedded",
        validation_alias="MEMORY_MODE",
        description="The named choice of backends; see the table of modes.",
    )
    data_folder: Path = Field(
        default_factory=_default_data_folder,
        description="Where embedded backends keep their files. Defaults to the user's data folder.",
    )
    kv_url: str | None = Field(
        default=None, description="Backend of the truth, instead of the mode's."
    )
    former_kv_urls: Names = Field(
        default=(),
        description="Truths that memories may have been in before, with commas. At start the "
        "newest is looked for in them and in those of other modes that are set up.",
    )
    vector_url: str | None = Field(
        default=None, description="Backend of the vectors, instead of the mode's."
    )
    graph_url: str | None = Field(
        default=None, description="Backend of the graph, instead of the mode's."
    )
    cache_url: str | None = Field(
        default=None, description="Backend of the cache, instead of the mode's."
    )
    events_url: str | None = Field(
        default=None, description="Backend that events are published to, instead of the mode's."
    )
    source_url: str | None = Field(
        default=None,
        description="Where the consumer gets events, instead of from where they are published to.",
    )
    consumer_handlers: Names = Field(
        default=("indexer:",),
        description="What the consumer does with events: URLs of event handlers, with commas.",
    )
    consumer_batch: int = Field(
        default=500, ge=1, le=MAX_BATCH, description="Most events that a consumer has in hand."
    )
    webhook_secret: SecretStr | None = Field(
        default=None,
        description="Secret that webhooks are signed with: whsec_ and base64. Several, with "
        "commas, while receivers go over to a new one.",
    )
    webhook_timeout_seconds: Seconds = Field(
        default=10.0, description="Longest that a receiver of a webhook may take to answer."
    )
    webhook_attempts: int = Field(
        default=8,
        ge=1,
        le=1000,
        description="How often an event is posted to a receiver that cannot take it just now.",
    )
    embedder_url: str | None = Field(
        default=None,
        description="Embedder, instead of the mode's. A change rebuilds the vectors at start.",
    )
    disabled_plugins: Names = Field(
        default=(), description="Plugins to leave alone, by name or distribution, with commas."
    )

    namespace: str = Field(
        default="default",
        validation_alias="SOMA_NAMESPACE",
        description="Namespace of a request that names none.",
    )
    eventing_enabled: bool | None = Field(
        default=None,
        validation_alias="EVENTING_ENABLED",
        description="Whether writes are logged as events. Unset: as the mode says.",
    )

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=9595, ge=0, le=65_535, description="Port to listen on.")
    workers: int = Field(
        default=1,
        ge=1,
        le=256,
        validation_alias="UVICORN_WORKERS",
        description="Server processes. More than one needs backends that processes can share.",
    )
    shutdown_seconds: int = Field(
        default=60,
        ge=1,
        le=86_400,
        validation_alias="UVICORN_TIMEOUT_GRACEFUL",
        description="How long a stop waits for requests that are being answered.",
    )
    keep_alive_seconds: int = Field(
        default=30,
        ge=1,
        le=86_400,
        validation_alias="UVICORN_TIMEOUT_KEEP_ALIVE",
        description="How long an idle connection is kept.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least serious message that is logged."
    )
    log_format: Literal["text", "json"] = Field(
        default="text", description="Form of the log's lines."
    )
    traces_exporter: Literal["otlp", "none"] = Field(
        default="otlp",
        validation_alias="OTEL_TRACES_EXPORTER",
        description="How traces are handed on as soon as a collector is there; `none`: not at all.",
    )
    otlp_endpoint: str = Field(
        default="http://localhost:4318",
        pattern="^https?://[^/]",
        validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT",
        description="Collector that traces go to, by OTLP over HTTP.",
    )
    consumer_metrics_port: int = Field(
        default=8001,
        ge=0,
        le=65_535,
        validation_alias="CONSUMER_METRICS_PORT",
        description="Port of the consumer's metrics and health; 0 takes one that is free.",
    )
    openapi_path: Path | None = Field(
        default=None,
        description="Where the OpenAPI document is written at start. "
        "Unset: openapi.json in the data folder.",
    )
    export_folder: Path | None = Field(
        default=None,
        description="Folder for exports and imports by path. Unset: requests cannot name a path.",
    )

    max_body_bytes: int = Field(
        default=32 * 1024 * 1024,
        ge=1024,
        le=2**40,
        description="Largest request body, and longest line of an import.",
    )
    max_payload_bytes: int = Field(
        default=_LIMITS.payload.max_bytes, ge=2, le=2**32, description="Largest encoded payload."
    )
    max_payload_depth: int = Field(
        default=_LIMITS.payload.max_depth, ge=1, le=200, description="Deepest nesting of a payload."
    )
    max_batch: Count = Field(
        default=_LIMITS.max_batch, description="Most items of one bulk request."
    )
    max_top_k: Count = Field(
        default=_LIMITS.max_top_k, description="Most memories that one recall returns."
    )
    max_query_characters: Count = Field(
        default=_LIMITS.max_query_characters, description="Longest text of a query."
    )
    max_page: Count = Field(
        default=_LIMITS.max_page, description="Most entries of one page of a listing."
    )
    max_answer_bytes: int = Field(
        default=_LIMITS.max_answer_bytes,
        ge=1024,
        le=2**32,
        description="Most bytes of payloads in one answer: a recall with more is refused, a page "
        "ends earlier.",
    )

    history_limit: int = Field(
        default=_ENGINE.history_limit,
        ge=0,
        le=10_000,
        description="Replaced versions to keep of each memory.",
    )
    indexing: Literal["inline", "evented"] = Field(
        default=_ENGINE.indexing.value,
        description="Who indexes what is written: inline, the server itself; evented, the "
        "consumer, after the write was answered.",
    )
    index_wait_seconds: Seconds = Field(
        default=_ENGINE.index_wait.total_seconds(),
        description="How long a write waits for the derived stores before it answers without "
        "them, and a recall for the position that it is given.",
    )
    lease_seconds: Seconds = Field(
        default=_ENGINE.lease.total_seconds(),
        description="How long a process may work on an outbox note before others take it over.",
    )
    sweep_interval_seconds: Seconds = Field(
        default=_ENGINE.sweep_interval.total_seconds(),
        description="How often left-over work is looked for.",
    )
    event_retention_seconds: Seconds = Field(
        default=_ENGINE.event_retention.total_seconds(),
        description="How long events stay in the log of the truth, for those who read it. "
        "What a sink has not acknowledged stays until it has.",
    )
    events_payload: Literal["full", "none"] = Field(
        default="full",
        description="Whether events tell the payloads of memories; `none` keeps them back.",
    )
    idempotency_seconds: Seconds = Field(
        default=_ENGINE.idempotency_retention.total_seconds(),
        description="How long the answer to a write is kept under its idempotency key.",
    )
    turns_form_episodes: bool = Field(
        default=_ENGINE.turns_form_episodes,
        description="Whether a conversation's turn gets its episode from its coordinate.",
    )
    track_access: bool = Field(
        default=_ENGINE.track_access, description="Whether reads of a memory are counted."
    )

    ranking_dense_share: Share = Field(
        default=_RANKING.dense_share,
        description="Part of the vectors in the relevance; keywords have the rest.",
    )
    ranking_candidates: Count = Field(
        default=_RANKING.candidates, description="Hits asked of each search before ranking."
    )
    ranking_recency_weight: Weight = Field(
        default=_RANKING.recency_weight, description="Weight of how recently a memory was written."
    )
    ranking_recency_half_life_seconds: Seconds = Field(
        default=_RANKING.recency_half_life.total_seconds(),
        description="Age at which recency has fallen to a half.",
    )
    ranking_importance_weight: Weight = Field(
        default=_RANKING.importance_weight, description="Weight of a memory's importance."
    )

    text_language: str = Field(
        default=_TEXT.language, description="Snowball stemmer of the keywords, such as english."
    )
    text_speaker_keys: Names = Field(
        default=_TEXT.speaker_keys, description="Payload keys that say who speaks."
    )
    text_said_keys: Names = Field(
        default=_TEXT.text_keys, description="Payload keys that hold what is said."
    )
    text_ignored_keys: Names = Field(
        default=tuple(sorted(_TEXT.ignored_keys)),
        description="Payload keys whose values are not searched.",
    )
    text_context_weights: Weights = Field(
        default=_TEXT.context_weights,
        description="What words of the memories before it in its episode count, nearest first.",
    )
    text_answer_weight: Weight = Field(
        default=_TEXT.answer_weight,
        description="What words of the memory just before count when it asks a question.",
    )
    text_max_characters: Count = Field(
        default=_TEXT.max_characters, description="How much text of one payload is searched."
    )

    def engine_settings(self, *, event_log: bool = True) -> EngineSettings:
        """Return what the engine needs to know of these settings.

        Args:
            event_log: Whether writes are logged as events.

        Returns:
            Settings of the engine.
        """
        return EngineSettings(
            ranking=self._ranking(),
            limits=self._limits(),
            text=self._text(),
            history_limit=self.history_limit,
            indexing=Indexing(self.indexing),
            index_wait=timedelta(seconds=self.index_wait_seconds),
            lease=timedelta(seconds=self.lease_seconds),
            sweep_interval=timedelta(seconds=self.sweep_interval_seconds),
            event_log=event_log,
            event_payloads=self.events_payload == "full",
            event_retention=timedelta(seconds=self.event_retention_seconds),
            idempotency_retention=timedelta(seconds=self.idempotency_seconds),
            turns_form_episodes=self.turns_form_episodes,
            track_access=self.track_access,
        )

    def webhook_options(self) -> dict[str, str]:
        """Return what event handlers of this package need to know, as options."""
        secret = self.webhook_secret
        return {
            "SFM_WEBHOOK_SECRET": "" if secret is None else secret.get_secret_value(),
            "SFM_WEBHOOK_TIMEOUT_SECONDS": str(self.webhook_timeout_seconds),
            "SFM_WEBHOOK_ATTEMPTS": str(self.webhook_attempts),
        }

    def _ranking(self) -> RankingSettings:
        return RankingSettings(
            dense_share=self.ranking_dense_share,
            candidates=self.ranking_candidates,
            recency_weight=self.ranking_recency_weight,
            recency_half_life=timedelta(seconds=self.ranking_recency_half_life_seconds),
            importance_weight=self.ranking_importance_weight,
        )

    def _limits(self) -> Limits:
        return Limits(
            payload=PayloadLimits(
                max_bytes=self.max_payload_bytes, max_depth=self.max_payload_depth
            ),
            max_batch=self.max_batch,
            max_top_k=self.max_top_k,
            max_query_characters=self.max_query_characters,
            max_page=self.max_page,
            max_answer_bytes=self.max_answer_bytes,
        )

    def _text(self) -> TextRule:
        return TextRule(
            speaker_keys=self.text_speaker_keys,
            text_keys=self.text_said_keys,
            ignored_keys=frozenset(self.text_ignored_keys),
            context_weights=self.text_context_weights,
            answer_weight=self.text_answer_weight,
            max_characters=self.text_max_characters,
            language=self.text_language,
        )


def variable_of(field: str) -> str:
    """Return the environment variable that sets a field of `Settings`."""
    alias = Settings.model_fields[field].validation_alias
    return alias if isinstance(alias, str) else f"{PREFIX}{field.upper()}"
