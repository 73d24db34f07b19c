"""From settings to what they choose: plugins, then the mode, then a backend for every port."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sfm_core.clock import SystemClock
from sfm_core.errors import ConfigurationError
from sfm_core.modes import Mode
from sfm_core.plugins import Plugins, load_plugins
from sfm_core.protocols.observer import UNOBSERVED, Observer
from sfm_core.registry import NO_OPTIONS, BackendContext, PortName, Registry
from sfm_core.settings import EngineSettings, Slots
from sfm_core.wrapping import UNWRAPPED, Wrapping
from sfm_server.encryption.choosing import wrapping_of
from sfm_server.encryption.watching import GivenKeys, keys_of
from sfm_server.modes import built_in, slots_of, urls_of
from sfm_server.settings import PLUGIN_PREFIX, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What the settings choose. Nothing is open, and nothing was asked over a network.

    Attributes:
        settings: The settings.
        plugins: What is installed.
        mode: The mode.
        slots: The URL of each port.
        options: The variables that backends and event handlers may read, by name.
        observer: Who is told of the work of the engine.
        wrapping: What is put around stores, such as encryption.
        keys: What the truth is encrypted with; `None` where it is not.
    """

    settings: Settings
    plugins: Plugins
    mode: Mode
    slots: Slots
    options: Mapping[str, str]
    observer: Observer = UNOBSERVED
    wrapping: Wrapping = UNWRAPPED
    keys: GivenKeys | None = None

    @property
    def registry(self) -> Registry:
        """The backends that can be chosen."""
        return self.plugins.registry

    @property
    def events(self) -> bool:
        """Whether writes are logged as events."""
        chosen = self.settings.eventing_enabled
        return self.mode.eventing if chosen is None else chosen

    @property
    def source(self) -> str | None:
        """Where the consumer gets events; by default, where events are published to."""
        chosen = self.settings
        return chosen.source_url or chosen.events_url or self.mode.slots.events

    def context(self) -> BackendContext:
        """Return a new context to make backends in."""
        return BackendContext(
            data_folder=self.settings.data_folder,
            options=self.options,
            secure=self.mode.secure,
            observer=self.observer,
            wrapping=self.wrapping,
        )

    def engine_settings(self) -> EngineSettings:
        """Return what the engine needs to know."""
        return self.settings.engine_settings(event_log=self.events)

    def refuse_unshared(self, setting: str) -> None:
        """See that other processes can work on the same stores.

        Args:
            setting: What asks for them.

        Raises:
            ConfigurationError: A store belongs to one process.
        """
        registry, slots, context = self.registry, self.slots, self.context()
        stores = (
            ("truth", slots.kv, registry.create_kv(slots.kv, context)),
            ("vector store", slots.vector, registry.create_vector(slots.vector, context)),
            ("graph store", slots.graph, registry.create_graph(slots.graph, context)),
        )
        for name, url, store in stores:
            if not store.shared:
                raise ConfigurationError(
                    f"{setting} needs stores that processes share, but the {name} {url} "
                    "belongs to one.",
                    setting=setting,
                    remedy="Leave it at its default, or choose a mode whose stores can be shared.",
                )

    def overrides(self) -> dict[PortName, str]:
        """Return the variables that stand above the mode, by the port that they override."""
        given: dict[PortName, str | None] = {
            port: getattr(self.settings, f"{port.value}_url") for port in PortName
        }
        return {port: f"SFM_{port.upper()}_URL" for port, url in given.items() if url}

    def require_backends(self) -> None:
        """See that every chosen backend is installed.

        Raises:
            PluginError: The plugin of a backend cannot be used; the message says why.
            ConfigurationError: A backend is not installed; the message says what to install.
        """
        for port, error in self._absent():
            names = () if port in self.overrides() else self.not_installed(self.mode)
            if names:
                raise ConfigurationError(
                    f"MEMORY_MODE is {self.settings.memory_mode!r}, which needs "
                    f"{', '.join(names)}: not installed.",
                    setting="MEMORY_MODE",
                    remedy=f"Run: pip install {' '.join(names)}",
                )
            raise error

    def not_installed(self, mode: Mode) -> tuple[str, ...]:
        """Return the distributions that a mode needs and that no plugin comes from."""
        present = {_normalised(info.distribution) for info in self.plugins.installed}
        return tuple(name for name in mode.needs if _normalised(name) not in present)

    def _absent(self) -> Iterator[tuple[PortName, ConfigurationError]]:
        for port, url in urls_of(self.slots).items():
            try:
                self.registry.find(port, url)
            except ConfigurationError as error:
                yield port, error


def select(
    settings: Settings,
    *,
    options: Mapping[str, str] = NO_OPTIONS,
    extra_plugins: Mapping[str, object] = MappingProxyType({}),
) -> Selection:
    """Load the plugins, and find out what the settings choose.

    Args:
        settings: What to choose by.
        options: Variables by name. Backends and event handlers get those that one
            of them declares, and those that begin with `SFM_PLUGIN_`.
        extra_plugins: Plugins that are not installed, by name.

    Returns:
        What is chosen; whether it is installed is for `require_backends` to say.

    Raises:
        ConfigurationError: There is no such mode, or the keys cannot be used.
        PluginError: A plugin breaks the rules of the plugin API, or claims
            the name of a mode that is taken.
    """
    plugins = load_plugins(
        disabled=settings.disabled_plugins, extra=extra_plugins, modes=built_in()
    )
    mode = plugins.modes.find(settings.memory_mode)
    declared = {variable for one in plugins.readers for variable in one.options}
    keys = keys_of(settings, SystemClock()) if settings.encrypts else None
    return Selection(
        settings=settings,
        plugins=plugins,
        mode=mode,
        slots=slots_of(mode, settings),
        options={
            name: value
            for name, value in options.items()
            if name in declared or name.startswith(PLUGIN_PREFIX)
        },
        wrapping=wrapping_of(settings, keys),
        keys=keys,
    )


def _normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
