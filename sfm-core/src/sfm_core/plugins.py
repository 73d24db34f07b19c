"""Finds the installed plugins and asks each what it offers.

A plugin is what an entry point of the group `sfm` names. Each is loaded on its
own, so that one that is broken by its surroundings is put in *quarantine*: it
is listed with the reason, offers nothing, and leaves the others alone. Only
choosing one of its schemes is then an error. What can only be a mistake in a
plugin's source, or an ambiguity that nobody but the operator can resolve,
stops the start instead.

=====================================================  =======================
what is found                                          what happens
=====================================================  =======================
the plugin is named in `disabled`                      not imported, `disabled`
a name in `disabled` that no plugin has                a warning
it cannot be imported, or is not there                 quarantine
its `SFM_API_VERSION` is not ours                      quarantine
one of its hooks raises                                quarantine, all its hooks
another entry point handed in the same object before   quarantine of the second
a hook implementation whose name is no hook            `PluginError`
a function with a hook's name that is not marked       `PluginError`
a hook with arguments that its specification lacks     `PluginError`
a hook that is a coroutine function or a generator     `PluginError`
a malformed scheme, a factory that cannot be called    `PluginError`
a scheme offered twice on one port, or as a handler    `PluginError`, naming both
a malformed name of a variable that a backend reads    `PluginError`
a malformed name of a mode, or one offered twice       `PluginError`, naming both
=====================================================  =======================

The remedy for each error that stops the start is to mend the plugin, to
uninstall it, or to disable it by name.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import cast

import pluggy
from importlib_metadata import (
    EntryPoint,
    entry_points,  # pyright: ignore[reportUnknownVariableType]  # its parameters have no types
)

from sfm_core import hookspecs
from sfm_core.errors import PluginError
from sfm_core.handling import Handlers, OfferedHandler
from sfm_core.modes import Modes, OfferedMode
from sfm_core.offers import Offer
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import PortName, Registration, Registry, Unusable

_PORT_HOOKS: Mapping[str, PortName] = MappingProxyType(
    {
        "sfm_register_caches": PortName.CACHE,
        "sfm_register_kv_stores": PortName.KV,
        "sfm_register_vector_stores": PortName.VECTOR,
        "sfm_register_graph_stores": PortName.GRAPH,
        "sfm_register_event_sinks": PortName.EVENTS,
        "sfm_register_event_sources": PortName.SOURCE,
        "sfm_register_embedders": PortName.EMBEDDER,
    }
)
_MODES_HOOK = "sfm_register_modes"
_HANDLERS_HOOK = "sfm_register_event_handlers"
_HOOKS = (*_PORT_HOOKS, _HANDLERS_HOOK, _MODES_HOOK)
_VERSION_ATTRIBUTE = "SFM_API_VERSION"
_DISABLE = "Mend or uninstall the plugin, or name it in SFM_DISABLED_PLUGINS."

_logger = logging.getLogger(__name__)


class PluginState(StrEnum):
    """What became of a plugin that is installed."""

    ACTIVE = "active"
    DISABLED = "disabled"
    QUARANTINED = "quarantined"


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginInfo:
    """An installed plugin, for listings.

    Attributes:
        name: Name of its entry point, or the name it was handed in with.
        distribution: The distribution that installed it; "" where it was handed in.
        version: Version of that distribution; "" where it was handed in.
        state: What became of it.
        reason: Why it is not active; "" where it is.
        backends: What it offers, by port and scheme; empty where it is not active.
        modes: The modes it offers; empty where it is not active.
        handlers: The event handlers it offers; empty where it is not active.
    """

    name: str
    distribution: str
    version: str
    state: PluginState = PluginState.ACTIVE
    reason: str = ""
    backends: tuple[Registration[Backend], ...] = ()
    modes: tuple[OfferedMode, ...] = ()
    handlers: tuple[OfferedHandler, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugins:
    """What is installed and what can be chosen.

    Attributes:
        registry: The backends of all active plugins.
        modes: The modes of the caller and of all active plugins.
        handlers: The event handlers of all active plugins.
        installed: Every plugin, by name and distribution.
        unknown_disabled: Names that were to be disabled and that no plugin has.
    """

    registry: Registry
    modes: Modes
    handlers: Handlers
    installed: list[PluginInfo]
    unknown_disabled: tuple[str, ...] = ()

    @property
    def readers(self) -> tuple[Registration[Backend] | OfferedHandler, ...]:
        """Everything that declares variables: the backends, then the event handlers."""
        return (*self.registry, *self.handlers)


def load_plugins(
    *,
    disabled: Collection[str] = (),
    extra: Mapping[str, object] = MappingProxyType({}),
    group: str = hookspecs.PROJECT,
    modes: Iterable[OfferedMode] = (),
) -> Plugins:
    """Load every installed plugin and ask it what it offers.

    Imports the plugins' modules, and is meant to be called once, at start-up.
    Nothing is kept between calls.

    Args:
        disabled: Plugins to leave alone, by the name of their entry point or
            of their distribution.
        extra: Plugins that are not installed, by name: modules or objects with
            hook implementations.
        group: Entry-point group to look in.
        modes: Modes of the caller, whose names no plugin can take.

    Returns:
        The registry of what can be chosen, and the list of what is installed.

    Raises:
        PluginError: A plugin breaks a rule of the plugin API, or two offer the
            same mode, or the same scheme on one port; see the table of this
            module.
    """
    loader = _Loader(disabled=disabled, modes=modes)
    for info, get in _candidates(group, extra):
        loader.load(info, get)
    return loader.finish()


def _candidates(
    group: str, extra: Mapping[str, object]
) -> Iterator[tuple[PluginInfo, Callable[[], object]]]:
    points = cast(Iterable[EntryPoint], entry_points(group=group))
    found: list[tuple[PluginInfo, Callable[[], object]]] = [
        (_described(point), point.load) for point in points
    ]
    yield from sorted(found, key=lambda one: (one[0].name, one[0].distribution))
    for name, plugin in extra.items():
        yield PluginInfo(name=name, distribution="", version=""), iter((plugin,)).__next__


def _described(point: EntryPoint) -> PluginInfo:
    if point.dist is None:
        return PluginInfo(name=point.name, distribution="", version="")
    return PluginInfo(name=point.name, distribution=point.dist.name, version=point.dist.version)


class _Loader:
    """Collects the outcome of loading one plugin after the other."""

    def __init__(self, *, disabled: Collection[str], modes: Iterable[OfferedMode]) -> None:
        self._registry = Registry()
        self._modes = Modes(modes)
        self._handlers = Handlers()
        self._installed: list[PluginInfo] = []
        self._loaded: dict[int, tuple[object, PluginInfo]] = {}
        self._disabled = {_normalised(name): name for name in disabled}
        self._matched: set[str] = set()

    def load(self, info: PluginInfo, get: Callable[[], object]) -> None:
        if self._is_disabled(info):
            self._set_aside(info, PluginState.DISABLED, "is disabled by SFM_DISABLED_PLUGINS")
            return
        try:
            plugin = get()
        # A plugin's module can fail in any way, also by trying to end the process: it is listed.
        except (Exception, SystemExit) as error:  # noqa: BLE001
            self._quarantine(info, f"could not be imported ({_named(error)})", error)
            return
        reason = self._unfit(plugin)
        if reason:
            self._quarantine(info, reason)
            return
        self._loaded[id(plugin)] = (plugin, info)
        self._activate(info, plugin)

    def finish(self) -> Plugins:
        unknown = sorted(name for key, name in self._disabled.items() if key not in self._matched)
        for name in unknown:
            _logger.warning("No installed plugin or distribution is called %r, to disable.", name)
        return Plugins(
            registry=self._registry,
            modes=self._modes,
            handlers=self._handlers,
            installed=self._installed,
            unknown_disabled=tuple(unknown),
        )

    def _is_disabled(self, info: PluginInfo) -> bool:
        names = {_normalised(name) for name in (info.name, info.distribution) if name}
        hits = names & self._disabled.keys()
        self._matched |= hits
        return bool(hits)

    def _unfit(self, plugin: object) -> str:
        version = getattr(plugin, _VERSION_ATTRIBUTE, hookspecs.API_VERSION)
        if version != hookspecs.API_VERSION:
            return (
                f"is made for version {version!r} of the plugin API, "
                f"but this core has version {hookspecs.API_VERSION}"
            )
        if id(plugin) in self._loaded:
            first = self._loaded[id(plugin)][1]
            return f"is the same object as the plugin {first.name} of {_origin(first)}"
        return ""

    def _activate(self, info: PluginInfo, plugin: object) -> None:
        manager = _checked_manager(info, plugin)
        offer = Offer(distribution=_origin(info))
        failure: Exception | None = None
        try:
            for hook, port in _PORT_HOOKS.items():
                getattr(manager.hook, hook)(register=offer.register_for(port))
            getattr(manager.hook, _HANDLERS_HOOK)(register=offer.register_handler)
            getattr(manager.hook, _MODES_HOOK)(register=offer.register_mode)
        # A hook can fail in any way; the plugin is listed with the reason.
        except Exception as error:  # noqa: BLE001
            failure = error
        if offer.breach is not None:
            raise offer.breach
        if failure is not None:
            reason = f"failed to register ({_named(failure)})"
            self._quarantine(info, reason, failure, offer.schemes)
            return
        for registration in offer.registry:
            self._registry.add(registration)
        for handler in offer.handlers:
            self._handlers.add(handler)
        for name, mode, distribution in offer.modes:
            self._modes.add(name, mode, distribution)
        self._installed.append(
            replace(
                info,
                backends=tuple(offer.registry),
                modes=tuple(offer.modes),
                handlers=tuple(offer.handlers),
            )
        )

    def _quarantine(
        self,
        info: PluginInfo,
        reason: str,
        cause: BaseException | None = None,
        offers: frozenset[tuple[PortName, str]] = frozenset(),
    ) -> None:
        self._set_aside(info, PluginState.QUARANTINED, reason, offers)
        _logger.warning("The plugin %s of %s %s.", info.name, _origin(info), reason)
        _logger.debug("Why %s is in quarantine:", info.name, exc_info=cause)

    def _set_aside(
        self,
        info: PluginInfo,
        state: PluginState,
        reason: str,
        offers: frozenset[tuple[PortName, str]] = frozenset(),
    ) -> None:
        self._installed.append(replace(info, state=state, reason=reason))
        unusable = Unusable(
            plugin=info.name, distribution=_origin(info), reason=reason, offers=offers
        )
        self._registry.set_aside(unusable)
        self._modes.set_aside(unusable)
        self._handlers.set_aside(unusable)


def _checked_manager(info: PluginInfo, plugin: object) -> pluggy.PluginManager:
    """Return a manager of this plugin alone, so that what it breaks is known to be its doing."""
    label = f"The plugin {info.name} of {_origin(info)}"
    _refuse_unmarked(label, plugin)
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    try:
        manager.register(plugin, name=info.name)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise PluginError(
            f"{label} does not fit the hook specifications: {_one_line(error)}.",
            remedy=f"Hooks are: {', '.join(_HOOKS)}. {_DISABLE}",
        ) from error
    for caller in manager.get_hookcallers(plugin) or ():
        for implementation in caller.get_hookimpls():
            kind = _deferred_kind(implementation.function)
            if kind:
                raise PluginError(
                    f"{label} implements {caller.name} as {kind}, which would never run.",
                    remedy=f"Hooks are plain functions that only register. {_DISABLE}",
                )
    return manager


def _refuse_unmarked(label: str, plugin: object) -> None:
    for hook in _HOOKS:
        function = inspect.getattr_static(plugin, hook, None)
        marks = (f"{hookspecs.PROJECT}_impl", f"{hookspecs.PROJECT}_spec")
        if inspect.isfunction(function) and not any(hasattr(function, mark) for mark in marks):
            raise PluginError(
                f"{label} defines {hook} without marking it, so it would never be called.",
                remedy=f"Decorate it with sfm_core.hookspecs.hookimpl. {_DISABLE}",
            )


def _deferred_kind(function: Callable[..., object]) -> str:
    """Name what kind of function does not run when it is called; "" for a plain one."""
    if inspect.iscoroutinefunction(function):
        return "a coroutine function"
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        return "a generator"
    return ""


def _origin(info: PluginInfo) -> str:
    return info.distribution or "this program"


def _named(error: BaseException) -> str:
    return f"{type(error).__name__}: {_one_line(error)}".rstrip(": ")


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".")


def _normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
