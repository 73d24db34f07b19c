"""From settings to an open engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from types import MappingProxyType
from urllib.parse import urlsplit

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import ConfigurationError, SupersededError
from sfm_core.protocols.observer import UNOBSERVED, Observer
from sfm_core.registry import NO_OPTIONS
from sfm_server.selection import Selection, select
from sfm_server.settings import Settings
from sfm_server.truths import follow_newest_truth, has_succession


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMemory:
    """An engine and what it was put together from.

    Attributes:
        engine: The engine.
        selection: What the settings chose.
    """

    engine: MemoryEngine
    selection: Selection


@asynccontextmanager
async def open_memory(
    settings: Settings,
    *,
    options: Mapping[str, str] = NO_OPTIONS,
    extra_plugins: Mapping[str, object] = MappingProxyType({}),
    decides: bool = True,
    observer: Observer = UNOBSERVED,
) -> AsyncGenerator[OpenMemory]:
    """Load the plugins and open the engine that the settings ask for.

    Args:
        settings: What to open.
        options: Variables that backends may read, by name; see `select`.
        extra_plugins: Plugins that are not installed, by name.
        decides: Whether another embedder than the one that serves is gone over to.
        observer: Who is told of the engine's work.

    Yields:
        The open engine. On leaving, work in hand is finished first.

    Raises:
        ConfigurationError: The settings cannot work.
        PluginError: A plugin breaks the rules of the plugin API.
        BackendError: A backend cannot be opened.
    """
    selection = select(settings, options=options, extra_plugins=extra_plugins)
    selection = replace(selection, observer=observer)
    async with open_selection(selection, decides=decides) as memory:
        yield memory


@asynccontextmanager
async def open_selection(
    selection: Selection, *, decides: bool = True
) -> AsyncGenerator[OpenMemory]:
    """Open the engine on what was chosen.

    Args:
        selection: What to open.
        decides: Whether another embedder than the one that serves is gone over to.

    Yields:
        The open engine. On leaving, work in hand is finished first.

    Raises:
        ConfigurationError: A chosen backend is not installed, or its settings cannot work.
        SupersededError: Another truth has taken over while this one was being opened.
        BackendError: A backend cannot be opened.
    """
    selection.require_backends()
    engine_settings = selection.engine_settings()
    if not engine_settings.inline:
        selection.refuse_unshared("SFM_INDEXING")
    if selection.mode.lasting:
        _make_folder(selection.settings)
    succeeds = has_succession(selection)
    if succeeds:
        await follow_newest_truth(selection)
    async with open_engine(
        slots=selection.slots,
        registry=selection.registry,
        context=selection.context(),
        settings=engine_settings,
        decides=decides,
    ) as engine:
        if succeeds and engine.superseded_by:
            # It would serve what was true until then, for as long as it runs.
            raise SupersededError(
                f"{engine.superseded_by} has taken over from the truth that was being opened.",
                backend=urlsplit(selection.slots.kv).scheme,
                remedy="Start again: a start looks for the newest truth first.",
            )
        yield OpenMemory(engine=engine, selection=selection)


def _make_folder(settings: Settings) -> None:
    try:
        settings.data_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {settings.data_folder} cannot be made: {error.strerror}.",
            setting="SFM_DATA_FOLDER",
            remedy="Name a folder that this user may write to.",
        ) from error
