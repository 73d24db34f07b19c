"""Event handlers: what plugins offer to the consumer, chosen by URL."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from sfm_core.errors import ConfigurationError, PluginError
from sfm_core.model.urls import scheme_of
from sfm_core.protocols.handler import EventHandler
from sfm_core.registry import (
    NO_OPTIONS,
    BackendContext,
    Registry,
    Unusable,
    check_scheme,
    check_variables,
)
from sfm_core.settings import EngineSettings


class FollowedMemory(Protocol):
    """A memory whose derived stores a handler can keep up to date."""

    async def follow_up(self) -> int:
        """Have the derived stores follow everything that the truth notes as owed.

        Returns:
            How many notes were worked off.

        Raises:
            BackendError: A backend failed; what is owed stays noted.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlerContext:
    """What the factory of a handler may need beside its URL.

    Attributes:
        backends: What backends need, for a handler that opens some.
        registry: The backends that can be chosen.
        settings: Settings of the engine.
        open_memory: Opens the memory that the events are about.
    """

    backends: BackendContext
    registry: Registry
    settings: EngineSettings
    open_memory: Callable[[], AbstractAsyncContextManager[FollowedMemory]]


class HandlerFactory(Protocol):
    """Makes a handler that is not open yet. Does no I/O."""

    def __call__(self, url: str, context: HandlerContext) -> EventHandler:
        """Make the handler.

        Args:
            url: The whole URL that chose it.
            context: What else it may need.

        Returns:
            The handler, to be opened with `async with`.

        Raises:
            ConfigurationError: The URL or an option cannot work.
        """
        ...


class RegisterHandler(Protocol):
    """What the hook for event handlers is handed: call it once per scheme."""

    def __call__(
        self,
        scheme: str,
        factory: HandlerFactory,
        *,
        summary: str,
        options: Mapping[str, str] = NO_OPTIONS,
    ) -> None:
        """Offer a handler under a URL scheme.

        Args:
            scheme: Lower-case URL scheme, without `://`.
            factory: What makes the handler.
            summary: One line for listings.
            options: The variables that the factory reads from
                `HandlerContext.backends.options`, as for a backend.

        Raises:
            PluginError: The scheme or the name of a variable is malformed, or
                the scheme is taken.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedHandler:
    """A handler that can be chosen.

    Attributes:
        scheme: The URL scheme that chooses it.
        factory: What makes it.
        summary: One line for listings.
        distribution: Who offers it.
        options: The variables that it reads, each with its meaning in one line.
    """

    scheme: str
    factory: HandlerFactory
    summary: str
    distribution: str
    options: Mapping[str, str] = field(default_factory=dict[str, str])


class Handlers:
    """All event handlers that can be chosen, by scheme."""

    def __init__(self) -> None:
        """Start with none."""
        self._offered: dict[str, OfferedHandler] = {}
        self._unusable: list[Unusable] = []

    def __iter__(self) -> Iterator[OfferedHandler]:
        """Go through the handlers by scheme."""
        return iter(sorted(self._offered.values(), key=lambda one: one.scheme))

    def add(self, offered: OfferedHandler) -> None:
        """Add a handler.

        Args:
            offered: What is offered.

        Raises:
            PluginError: The scheme or a variable is malformed, or the scheme
                is taken; both distributions are named.
        """
        check_scheme(offered.scheme, offered.distribution)
        check_variables(offered.options, f"event handler {offered.scheme!r}", offered.distribution)
        taken = self._offered.setdefault(offered.scheme, offered)
        if taken is not offered:
            raise PluginError(
                f"The event handler {offered.scheme!r} is offered by {taken.distribution} and "
                f"by {offered.distribution}.",
                remedy="Uninstall one of them, or name it in SFM_DISABLED_PLUGINS.",
            )

    def set_aside(self, unusable: Unusable) -> None:
        """Remember a plugin that offers nothing, so that `find` can say so.

        Args:
            unusable: The plugin and why it offers nothing.
        """
        self._unusable.append(unusable)

    def find(self, url: str) -> OfferedHandler:
        """Return the handler that a URL chooses.

        Args:
            url: A URL; what stands before its first colon decides.

        Returns:
            The handler.

        Raises:
            PluginError: There is none, but not every installed plugin is
                usable: the message says which are not, and why.
            ConfigurationError: The URL is malformed, or no plugin offers the scheme.
        """
        scheme = scheme_of(url, "SFM_CONSUMER_HANDLERS")
        offered = self._offered.get(scheme)
        if offered is not None:
            return offered
        known = f"se one of: {', '.join(sorted(self._offered)) or 'none'}."
        if self._unusable:
            raise PluginError(
                f"No usable plugin offers the event handler {scheme!r}; not usable are: "
                f"{'; '.join(map(str, self._unusable))}.",
                setting="SFM_CONSUMER_HANDLERS",
                remedy=f"Mend or enable the one you mean, or u{known}",
            )
        raise ConfigurationError(
            f"No plugin offers the event handler {scheme!r}.",
            setting="SFM_CONSUMER_HANDLERS",
            remedy=f"Install one that does, or u{known}",
        )
