"""Settings of the engine, as frozen values. Only the server reads the environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from sfm_core.model.payload import PayloadLimits
from sfm_core.text.composing import TextRule


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """Which backend serves which port: one URL each.

    Attributes:
        kv: The truth.
        vector: Vector store.
        graph: Graph store.
        cache: Cache and shared counters.
        embedder: Embedder.
        events: Event sink; `None` keeps events in the log of the truth only.
    """

    kv: str
    vector: str
    graph: str
    cache: str
    embedder: str
    events: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingSettings:
    """How candidates become an order.

    Attributes:
        dense_share: Part of the dense arm in the relevance, 0 to 1; the
            keyword arm has the rest.
        candidates: Hits asked of each arm, before ranking.
        recency_weight: What a memory written just now gains over one written
            for ever ago, in standard deviations of the candidates' relevance.
        recency_half_life: Age at which recency has fallen to a half.
        importance_weight: What the most important memory gains over the least
            important, in standard deviations of the candidates' relevance.
    """

    dense_share: float = 0.35
    candidates: int = 100
    recency_weight: float = 0.05
    recency_half_life: timedelta = timedelta(days=30)
    importance_weight: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much one call may ask for.

    Attributes:
        payload: Size and depth of one payload.
        max_batch: Memories, links or queries in one bulk call.
        max_top_k: Memories that one recall may return.
        max_query_characters: Length of a query text.
        max_page: Entries of one page of a listing.
        max_answer_bytes: Size of all payloads of an answer, as the truth holds them. A
            recall that would have more is refused, a page ends earlier; what has one
            memory only is always answered.
    """

    payload: PayloadLimits = field(default_factory=PayloadLimits)
    max_batch: int = 1000
    max_top_k: int = 1000
    max_query_characters: int = 20_000
    max_page: int = 1000
    max_answer_bytes: int = 32 * 1024 * 1024


class Indexing(StrEnum):
    """Who has the derived stores follow what an engine writes.

    Attributes:
        INLINE: The engine itself, and it takes over what others leave.
        EVENTED: Others. It answers when the truth has committed, embeds
            nothing of what it writes, and builds no collection unless told to.
    """

    INLINE = "inline"
    EVENTED = "evented"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Everything about the engine that can be chosen.

    Attributes:
        ranking: How recall orders its answers.
        limits: How much one call may ask for.
        text: Which words of a payload are indexed, and how.
        history_limit: Replaced versions to keep per memory; 0 keeps none.
        indexing: Who has the derived stores follow what is written.
        index_wait: How long a write waits for the derived stores before it
            answers that they will follow, and how long `wait_for` waits.
        lease: For how long a process may work on an outbox note before
            others take it over.
        sweep_interval: How often left-over work is looked for.
        event_log: Whether events are logged at all. If not, those that are in
            the log stay there.
        event_payloads: Whether events tell the payloads of memories.
        event_retention: For how long events stay in the log, for those who
            read it; what a sink has not acknowledged stays until it has.
        idempotency_retention: For how long what a write has answered is kept
            under its idempotency key.
        turns_form_episodes: Whether a turn of a conversation that is stored
            without an episode gets one from its coordinate: all components but
            the last name it, the last is the order.
        track_access: Whether reads are counted.
    """

    ranking: RankingSettings = field(default_factory=RankingSettings)
    limits: Limits = field(default_factory=Limits)
    text: TextRule = field(default_factory=TextRule)
    history_limit: int = 10
    indexing: Indexing = Indexing.INLINE
    index_wait: timedelta = timedelta(seconds=10)
    lease: timedelta = timedelta(seconds=30)
    sweep_interval: timedelta = timedelta(seconds=5)
    event_log: bool = True
    event_payloads: bool = True
    event_retention: timedelta = timedelta(days=7)
    idempotency_retention: timedelta = timedelta(hours=24)
    turns_form_episodes: bool = True
    track_access: bool = True

    @property
    def inline(self) -> bool:
        """Whether the engine has derived stores follow by itself."""
        return self.indexing is Indexing.INLINE
