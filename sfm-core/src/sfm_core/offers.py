"""What one plugin registers while its hooks are called."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from sfm_core.errors import PluginError
from sfm_core.handling import HandlerFactory, Handlers, OfferedHandler
from sfm_core.modes import Mode, Modes
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import (
    NO_OPTIONS,
    Factory,
    IsSetUp,
    PortName,
    Registration,
    Registry,
    never_set_up,
)


@dataclass(kw_only=True)
class Offer:
    """What one plugin registers, kept apart until all of its hooks have returned.

    Attributes:
        distribution: The distribution that installed the plugin.
        registry: The backends it has registered.
        modes: The modes it has registered.
        handlers: The event handlers it has registered.
        breach: The rule of the plugin API that it has broken, also where the
            plugin hides it.
    """

    distribution: str
    registry: Registry = field(default_factory=Registry)
    modes: Modes = field(default_factory=Modes)
    handlers: Handlers = field(default_factory=Handlers)
    breach: PluginError | None = None

    @property
    def schemes(self) -> frozenset[tuple[PortName, str]]:
        """The port and scheme of every backend it has registered."""
        return frozenset((one.port, one.scheme) for one in self.registry)

    def register_for(self, port: PortName) -> Callable[..., None]:
        """Return what a hook for backends is handed; see `Register`.

        Args:
            port: The port whose hook it is.

        Returns:
            A function that registers here; raises `PluginError` as `Register` says.
        """

        def register(
            scheme: str,
            factory: Factory[Backend],
            *,
            summary: str,
            capabilities: frozenset[str] = frozenset(),
            is_set_up: IsSetUp = never_set_up,
            options: Mapping[str, str] = NO_OPTIONS,
        ) -> None:
            try:
                _refuse_uncallable(self.distribution, f"{port} scheme {scheme!r}", factory)
                self.registry.add(
                    Registration(
                        port=port,
                        scheme=scheme,
                        factory=factory,
                        summary=summary,
                        capabilities=frozenset(capabilities),
                        distribution=self.distribution,
                        is_set_up=is_set_up,
                        options=dict(options),
                    )
                )
            except PluginError as error:
                # Remembered, because the plugin may hide it, and to tell it from errors of its own.
                self.breach = error
                raise

        return register

    def register_handler(
        self,
        scheme: str,
        factory: HandlerFactory,
        *,
        summary: str,
        options: Mapping[str, str] = NO_OPTIONS,
    ) -> None:
        """Take in an event handler; what the hook for handlers is handed.

        Args:
            scheme: The URL scheme that will choose it.
            factory: What makes it.
            summary: One line for listings.
            options: The variables that it reads.

        Raises:
            PluginError: As `RegisterHandler` says.
        """
        try:
            _refuse_uncallable(self.distribution, f"event handler {scheme!r}", factory)
            self.handlers.add(
                OfferedHandler(
                    scheme=scheme,
                    factory=factory,
                    summary=summary,
                    distribution=self.distribution,
                    options=dict(options),
                )
            )
        except PluginError as error:
            self.breach = error
            raise

    def register_mode(self, name: str, mode: Mode) -> None:
        """Take in a mode; what the hook for modes is handed.

        Args:
            name: What `MEMORY_MODE` will call it.
            mode: What it chooses.

        Raises:
            PluginError: The name is malformed, or taken.
        """
        try:
            self.modes.add(name, mode, self.distribution)
        except PluginError as error:
            self.breach = error
            raise


def _refuse_uncallable(distribution: str, what: str, factory: object) -> None:
    if not callable(factory):
        raise PluginError(
            f"{distribution} registers {factory!r} as the factory of the {what}, "
            "which cannot be called.",
            remedy="Register a function or class that takes a URL and a context.",
        )
