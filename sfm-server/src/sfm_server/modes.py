"""The modes, as data: which backend serves which port.

A name can be taken here before the plugins that it needs exist; choosing it is
then a clear error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sfm_core.errors import ConfigurationError
from sfm_core.settings import Slots
from sfm_server.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A named choice of backends.

    Attributes:
        summary: What it is for, in one line.
        slots: The URL of each port.
        needs: Distributions that must be installed for it.
    """

    summary: str
    slots: Slots
    needs: tuple[str, ...] = ()


_DEFAULT_EMBEDDER = "static:"

MODES: Mapping[str, Mode] = MappingProxyType(
    {
        "embedded": Mode(
            summary="One file in the data folder, no other service.",
            slots=Slots(
                kv="sqlite:",
                vector="sqlite:",
                graph="sqlite:",
                cache="memory:",
                embedder=_DEFAULT_EMBEDDER,
            ),
            needs=("somafractalmemory-backend-sqlite", "somafractalmemory-embedder-local"),
        ),
        "test": Mode(
            summary="Everything in this process, gone when it ends.",
            slots=Slots(
                kv="memory:",
                vector="memory:",
                graph="memory:",
                cache="memory:",
                embedder="hashing:",
            ),
        ),
    }
)

PLANNED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "development": (
            "somafractalmemory-backend-redis",
            "somafractalmemory-backend-qdrant",
        ),
        "evented_enterprise": (
            "somafractalmemory-backend-redis",
            "somafractalmemory-backend-postgres",
            "somafractalmemory-backend-qdrant",
            "somafractalmemory-eventing-kafka",
        ),
        "cloud_managed": (
            "somafractalmemory-backend-redis",
            "somafractalmemory-backend-postgres",
            "somafractalmemory-backend-qdrant",
            "somafractalmemory-eventing-kafka",
        ),
    }
)
"""Modes whose names are taken, with the distributions that bring them."""


def mode_of(name: str) -> Mode:
    """Return a mode by its name.

    Args:
        name: The value of `MEMORY_MODE`.

    Returns:
        The mode.

    Raises:
        ConfigurationError: There is no such mode, or this version does not
            have the plugins that it needs.
    """
    mode = MODES.get(name)
    if mode is not None:
        return mode
    usable = " or ".join(MODES)
    if name in PLANNED:
        raise ConfigurationError(
            f"MEMORY_MODE is {name!r}, which needs the plugins {', '.join(PLANNED[name])}; "
            "this version does not work with them yet.",
            setting="MEMORY_MODE",
            remedy=f"Use {usable}.",
        )
    raise ConfigurationError(
        f"MEMORY_MODE is {name!r}, which is no mode.",
        setting="MEMORY_MODE",
        remedy=f"Use {usable}.",
    )


def slots_of(settings: Settings) -> Slots:
    """Return the URL of each port: the mode's, unless a setting overrides it.

    Args:
        settings: Settings of the server.

    Returns:
        One URL for each port.

    Raises:
        ConfigurationError: There is no such mode.
    """
    mode = mode_of(settings.memory_mode).slots
    return Slots(
        kv=settings.kv_url or mode.kv,
        vector=settings.vector_url or mode.vector,
        graph=settings.graph_url or mode.graph,
        cache=settings.cache_url or mode.cache,
        embedder=settings.embedder_url or mode.embedder,
        events=(settings.events_url or mode.events) if settings.events else None,
    )
