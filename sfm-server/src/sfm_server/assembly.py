"""From settings to an open engine."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import MappingProxyType

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import ConfigurationError
from sfm_core.plugins import Plugins, load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots
from sfm_server.modes import slots_of
from sfm_server.settings import Settings

_NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenMemory:
    """An engine and what it was put together from.

    Attributes:
        engine: The engine.
        plugins: What is installed.
        slots: The URL of each port.
    """

    engine: MemoryEngine
    plugins: Plugins
    slots: Slots


@asynccontextmanager
async def open_memory(
    settings: Settings,
    *,
    options: Mapping[str, str] = _NO_OPTIONS,
    extra_plugins: Mapping[str, object] = MappingProxyType({}),
) -> AsyncGenerator[OpenMemory]:
    """Load the plugins and open the engine that the settings ask for.

    Args:
        settings: What to open.
        options: Settings of backends, by variable.
        extra_plugins: Plugins that are not installed, by name.

    Yields:
        The open engine. On leaving, work in hand is finished first.

    Raises:
        ConfigurationError: The settings cannot work.
        PluginError: A plugin breaks the rules of the plugin API.
        BackendError: A backend cannot be opened.
    """
    plugins = load_plugins(disabled=settings.disabled_plugins, extra=extra_plugins)
    slots = slots_of(settings)
    _make_folder(settings)
    async with open_engine(
        slots=slots,
        registry=plugins.registry,
        context=BackendContext(data_folder=settings.data_folder, options=options),
        settings=settings.engine_settings(),
    ) as engine:
        yield OpenMemory(engine=engine, plugins=plugins, slots=slots)


def _make_folder(settings: Settings) -> None:
    if settings.memory_mode == "test":
        return
    try:
        settings.data_folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"The data folder {settings.data_folder} cannot be made: {error.strerror}.",
            setting="SFM_DATA_FOLDER",
            remedy="Name a folder that this user may write to.",
        ) from error
