"""The built-in modes, as data; plugins add theirs through `sfm_register_modes`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sfm_core.modes import Mode, OfferedMode
from sfm_core.registry import PortName
from sfm_core.settings import Slots
from sfm_server.settings import Settings

DISTRIBUTION = "somafractalmemory-server"

_SQLITE = "somafractalmemory-backend-sqlite"
_REDIS = "somafractalmemory-backend-redis"
_POSTGRES = "somafractalmemory-backend-postgres"
_QDRANT = "somafractalmemory-backend-qdrant"
_KAFKA = "somafractalmemory-eventing-kafka"
_LOCAL_EMBEDDER = "somafractalmemory-embedder-local"

_SERVICES = Slots(
    kv="postgresql:",
    vector="qdrant:",
    graph="postgresql:",
    cache="redis:",
    embedder="static:",
    events="kafka:",
)
_SERVICES_NEED = (_REDIS, _POSTGRES, _QDRANT, _KAFKA, _LOCAL_EMBEDDER)

BUILT_IN: Mapping[str, Mode] = MappingProxyType(
    {
        "embedded": Mode(
            summary="One file in the data folder, no other service.",
            slots=Slots(
                kv="sqlite:",
                vector="sqlite:",
                graph="sqlite:",
                cache="memory:",
                embedder="static:",
            ),
            needs=(_SQLITE, _LOCAL_EMBEDDER),
        ),
        "test": Mode(
            summary="Everything in this process, gone when it ends.",
            slots=Slots(
                kv="memory:",
                vector="memory:",
                graph="memory:",
                cache="memory:",
                embedder="hashing:",
                events="memory:",
            ),
            eventing=False,
            lasting=False,
        ),
        "development": Mode(
            summary="Redis, Qdrant and Kafka, as they run on a developer's machine.",
            slots=Slots(
                kv="redis:",
                vector="qdrant:",
                graph="redis:",
                cache="redis:",
                embedder="static:",
                events="kafka:",
            ),
            needs=(_REDIS, _QDRANT, _KAFKA, _LOCAL_EMBEDDER),
        ),
        "evented_enterprise": Mode(
            summary="PostgreSQL, Redis, Qdrant and Kafka of one's own.",
            slots=_SERVICES,
            needs=_SERVICES_NEED,
        ),
        "cloud_managed": Mode(
            summary="The same as managed services: TLS and credentials only.",
            slots=_SERVICES,
            needs=_SERVICES_NEED,
            secure=True,
        ),
    }
)
"""The modes of this package. `embedded` names no event sink: its events stay in the log of the
truth, unless `SFM_EVENTS_URL` names one."""


def built_in() -> list[OfferedMode]:
    """Return the modes of this package as `load_plugins` takes them."""
    return [OfferedMode(name, mode, DISTRIBUTION) for name, mode in BUILT_IN.items()]


def slots_of(mode: Mode, settings: Settings) -> Slots:
    """Return the URL of each port: the mode's, unless a setting overrides it.

    Args:
        mode: The mode.
        settings: Settings of the server.

    Returns:
        One URL for each port; none for events where they are off.
    """
    slots = mode.slots
    events = mode.eventing if settings.eventing_enabled is None else settings.eventing_enabled
    return Slots(
        kv=settings.kv_url or slots.kv,
        vector=settings.vector_url or slots.vector,
        graph=settings.graph_url or slots.graph,
        cache=settings.cache_url or slots.cache,
        embedder=settings.embedder_url or slots.embedder,
        events=(settings.events_url or slots.events) if events else None,
    )


def urls_of(slots: Slots) -> dict[PortName, str]:
    """Return the URL of each port that has one."""
    urls = {
        PortName.KV: slots.kv,
        PortName.VECTOR: slots.vector,
        PortName.GRAPH: slots.graph,
        PortName.CACHE: slots.cache,
        PortName.EMBEDDER: slots.embedder,
        PortName.EVENTS: slots.events,
    }
    return {port: url for port, url in urls.items() if url is not None}
