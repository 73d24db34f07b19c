"""What plugins offer: factories of backends, by port and URL scheme."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Generic, Protocol, TypeAlias, TypeVar, cast

from sfm_core.clock import Clock, SystemClock
from sfm_core.errors import ConfigurationError, PluginError
from sfm_core.model.urls import scheme_of
from sfm_core.protocols.cache import Cache
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.lifecycle import Backend
from sfm_core.protocols.observer import UNOBSERVED, Observer
from sfm_core.protocols.source import EventSource
from sfm_core.protocols.vector import VectorStore
from sfm_core.wrapping import UNWRAPPED, Wrapping

BackendT_contra = TypeVar("BackendT_contra", bound=Backend, contravariant=True)
BackendT_co = TypeVar("BackendT_co", bound=Backend, covariant=True)
SharedT = TypeVar("SharedT")

LOCAL = "local"
"""Capability of a backend that works inside the process or on its own disk only.

It takes its time but cannot be cut off, so the engine does not put deadlines,
repetition and a breaker around it, as it does around every other backend.
"""

SECURE = "secure"
"""Capability of a backend that can be held to encryption and credentials.

It refuses to be made from anything less where `BackendContext.secure` is set, and names
the variable that is missing. Where security is required, no other backend is made
but those that are `LOCAL`.
"""

FLEETING = "fleeting"
"""Capability of a store that holds nothing any more when it is opened again.

As a truth it takes over from no other one: what it took over would be gone.
"""

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")
_VARIABLE = re.compile(r"(?!SFM_(?!PLUGIN_))[A-Z][A-Z0-9_]*")


class PortName(StrEnum):
    """The ports, as they are named in settings, health and plugin listings."""

    CACHE = "cache"
    KV = "kv"
    VECTOR = "vector"
    GRAPH = "graph"
    EVENTS = "events"
    EMBEDDER = "embedder"
    SOURCE = "source"
    """What the consumer reads. An engine has none."""


ENGINE_PORTS = tuple(port for port in PortName if port is not PortName.SOURCE)
"""The ports that an engine has, one backend each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendContext:
    """What a factory may need beside its URL.

    One context serves all backends of one engine.

    Attributes:
        data_folder: Where embedded backends keep their files.
        clock: Source of time.
        options: Settings of backends by environment variable name, for those
            that take more than a URL (credentials, TLS) or that are chosen by
            a bare scheme (addresses).
        secure: Whether connections must be encrypted and carry credentials.
        observer: Who is told of the work of the engine.
        wrapping: What is put around stores.
    """

    data_folder: Path
    clock: Clock = field(default_factory=SystemClock)
    options: Mapping[str, str] = field(default_factory=dict[str, str])
    secure: bool = False
    observer: Observer = UNOBSERVED
    wrapping: Wrapping = UNWRAPPED
    _shared: dict[str, object] = field(default_factory=dict[str, object], repr=False)

    def share(self, key: str, make: Callable[[], SharedT]) -> SharedT:
        """Return one object for all backends of this engine that ask for `key`.

        Backends of one package use it for what they have in common, such as a
        file or a connection pool. Its opening and closing is theirs to count.

        Args:
            key: Name of the object; begin it with the name of your package.
            make: Makes it at the first call.

        Returns:
            The object.
        """
        if key not in self._shared:
            self._shared[key] = make()
        return cast(SharedT, self._shared[key])


class Factory(Protocol[BackendT_co]):
    """Makes a backend that is not open yet. Does no I/O."""

    def __call__(self, url: str, context: BackendContext) -> BackendT_co:
        """Make the backend.

        Args:
            url: The whole URL that chose it.
            context: What else it may need.

        Returns:
            The backend, to be opened with `async with`.

        Raises:
            ConfigurationError: The URL or an option cannot work.
        """
        ...


IsSetUp: TypeAlias = Callable[[str, BackendContext], bool]
"""Tells whether what a URL chooses was set up on purpose: a file that is there, a variable that
names the server. Does no I/O beyond a look at the file system, and makes nothing."""


def never_set_up(url: str, context: BackendContext) -> bool:  # noqa: ARG001 - an `IsSetUp`
    """Tell nobody that there may be data; the answer for what ends with its process."""
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration(Generic[BackendT_co]):
    """One backend that can be chosen.

    Attributes:
        port: The port it serves.
        scheme: The URL scheme that chooses it.
        factory: What makes it.
        summary: One line for listings.
        capabilities: What it can do beyond the port, by name.
        distribution: The installed distribution it came from.
        is_set_up: Tells whether there may be data from before.
        options: The variables that its factory reads from
            `BackendContext.options`, each with its meaning in one line.
    """

    port: PortName
    scheme: str
    factory: Factory[BackendT_co]
    summary: str
    capabilities: frozenset[str]
    distribution: str
    is_set_up: IsSetUp = never_set_up
    options: Mapping[str, str] = field(default_factory=dict[str, str])


NO_OPTIONS: Mapping[str, str] = MappingProxyType({})


class Register(Protocol[BackendT_contra]):
    """What a hook is handed: call it once per scheme."""

    def __call__(
        self,
        scheme: str,
        factory: Factory[BackendT_contra],
        *,
        summary: str,
        capabilities: frozenset[str] = frozenset(),
        is_set_up: IsSetUp = never_set_up,
        options: Mapping[str, str] = NO_OPTIONS,
    ) -> None:
        """Offer a backend under a URL scheme.

        Args:
            scheme: Lower-case URL scheme, without `://`.
            factory: What makes the backend.
            summary: One line for listings.
            capabilities: What it can do beyond the port, by name.
            is_set_up: For a key-value store: tells whether there may be
                memories from before. A truth is only looked for in stores
                that say so.
            options: The variables that the factory reads from
                `BackendContext.options`, each with its meaning in one line:
                with its default, where it has one. What is declared here
                reaches the factory whatever its name is, and is listed by
                `sfm config`, hidden where the name speaks of a password, key,
                token or secret. A name that begins with `SFM_` must begin
                with `SFM_PLUGIN_`.

        Raises:
            PluginError: The scheme or the name of a variable is malformed, or
                the scheme is taken on this port.
        """
        ...


def check_scheme(scheme: str, distribution: str) -> None:
    """Refuse a malformed URL scheme.

    Args:
        scheme: What a plugin registers.
        distribution: Who does.

    Raises:
        PluginError: It is malformed.
    """
    if not _SCHEME.fullmatch(scheme):
        raise PluginError(
            f"{distribution} registers the malformed scheme {scheme!r}.",
            remedy="A scheme is lower-case letters, digits, +, - and dots.",
        )


def check_variables(variables: Iterable[str], what: str, distribution: str) -> None:
    """Refuse malformed names of variables.

    Args:
        variables: What a plugin declares.
        what: What it declares them for.
        distribution: Who does.

    Raises:
        PluginError: One is malformed.
    """
    for variable in variables:
        if not _VARIABLE.fullmatch(variable):
            raise PluginError(
                f"{distribution} declares the variable {variable!r} for its {what}, "
                "which cannot be one.",
                remedy="A variable is capital letters, digits and underscores, and does not "
                "begin with SFM_ unless it begins with SFM_PLUGIN_.",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Unusable:
    """A plugin that is installed but offers nothing, for whoever chooses one of its schemes.

    Attributes:
        plugin: Name of its entry point.
        distribution: The installed distribution it came from.
        reason: Why, as the end of a sentence about the plugin.
        offers: The backends it is known to have; empty where it never said.
    """

    plugin: str
    distribution: str
    reason: str
    offers: frozenset[tuple[PortName, str]] = frozenset()

    def __str__(self) -> str:
        return f"{self.plugin} of {self.distribution} {self.reason}"


class Registry:
    """All backends that can be chosen, by port and scheme."""

    def __init__(self) -> None:
        """Start with none."""
        self._registrations: dict[tuple[PortName, str], Registration[Backend]] = {}
        self._unusable: list[Unusable] = []

    def __iter__(self) -> Iterator[Registration[Backend]]:
        """Go through the registrations by port and scheme."""
        return iter(sorted(self._registrations.values(), key=lambda r: (r.port, r.scheme)))

    def add(self, registration: Registration[Backend]) -> None:
        """Add a backend.

        Args:
            registration: What is offered.

        Raises:
            PluginError: The scheme or a variable is malformed, or the scheme is
                taken; both distributions are named.
        """
        check_scheme(registration.scheme, registration.distribution)
        what = f"{registration.port} scheme {registration.scheme!r}"
        check_variables(registration.options, what, registration.distribution)
        key = (registration.port, registration.scheme)
        taken = self._registrations.setdefault(key, registration)
        if taken is not registration:
            raise PluginError(
                f"The {registration.port} scheme {registration.scheme!r} is offered by "
                f"{taken.distribution} and by {registration.distribution}.",
                remedy="Uninstall one of them, or name it in SFM_DISABLED_PLUGINS.",
            )

    def set_aside(self, unusable: Unusable) -> None:
        """Remember a plugin that offers nothing, so that `find` can say so.

        Args:
            unusable: The plugin and why it offers nothing.
        """
        self._unusable.append(unusable)

    def find(self, port: PortName, url: str) -> Registration[Backend]:
        """Return the backend that a URL chooses.

        Args:
            port: The port to serve.
            url: A URL; what stands before its first colon decides.

        Returns:
            The registration.

        Raises:
            PluginError: The plugin that has, or may have, the scheme is in
                quarantine or disabled; the message says which and why.
            ConfigurationError: The URL is malformed, or no plugin offers the scheme
                on this port.
        """
        scheme = scheme_of(url, f"SFM_{port.upper()}_URL")
        registration = self._registrations.get((port, scheme))
        if registration is None:
            raise self._not_found(port, scheme)
        return registration

    def _not_found(self, port: PortName, scheme: str) -> ConfigurationError:
        setting = f"SFM_{port.upper()}_URL"
        known = ", ".join(r.scheme for r in self if r.port is port) or "none"
        owners = [plugin for plugin in self._unusable if (port, scheme) in plugin.offers]
        if owners:
            return PluginError(
                f"The {port} backend {scheme!r} cannot be used: {'; '.join(map(str, owners))}.",
                setting=setting,
                remedy=f"Mend or enable the plugin, or use one of: {known}.",
            )
        missing = f"No usable plugin offers a {port} backend for the scheme {scheme!r}"
        # A plugin that could not be imported never said what it offers: any of them may be meant.
        suspects = [plugin for plugin in self._unusable if not plugin.offers]
        if suspects:
            return PluginError(
                f"{missing}, but not every installed plugin is usable: "
                f"{'; '.join(map(str, suspects))}.",
                setting=setting,
                remedy=f"Mend or enable the one you mean, or use one of: {known}.",
            )
        return ConfigurationError(
            f"{missing}.",
            setting=setting,
            remedy=f"Install one that does, or use one of: {known}.",
        )

    def create_kv(self, url: str, context: BackendContext) -> KeyValueStore:
        """Make the key-value store that a URL chooses; raises what `find` and its factory raise."""
        return cast(KeyValueStore, self.find(PortName.KV, url).factory(url, context))

    def create_vector(self, url: str, context: BackendContext) -> VectorStore:
        """Make the vector store that a URL chooses; raises what `find` and its factory raise."""
        return cast(VectorStore, self.find(PortName.VECTOR, url).factory(url, context))

    def create_graph(self, url: str, context: BackendContext) -> GraphStore:
        """Make the graph store that a URL chooses; raises what `find` and its factory raise."""
        return cast(GraphStore, self.find(PortName.GRAPH, url).factory(url, context))

    def create_cache(self, url: str, context: BackendContext) -> Cache:
        """Make the cache that a URL chooses; raises what `find` and its factory raise."""
        return cast(Cache, self.find(PortName.CACHE, url).factory(url, context))

    def create_events(self, url: str, context: BackendContext) -> EventSink:
        """Make the event sink that a URL chooses; raises what `find` and its factory raise."""
        return cast(EventSink, self.find(PortName.EVENTS, url).factory(url, context))

    def create_embedder(self, url: str, context: BackendContext) -> Embedder:
        """Make the embedder that a URL chooses; raises what `find` and its factory raise."""
        return cast(Embedder, self.find(PortName.EMBEDDER, url).factory(url, context))

    def create_source(self, url: str, context: BackendContext) -> EventSource:
        """Make the event source that a URL chooses; raises what `find` and its factory raise."""
        return cast(EventSource, self.find(PortName.SOURCE, url).factory(url, context))
