"""Modes: named choices of backends."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sfm_core.errors import ConfigurationError, PluginError
from sfm_core.registry import Unusable
from sfm_core.settings import Slots

_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mode:
    """A named choice of backends.

    Attributes:
        summary: What it is for, in one line.
        slots: The URL of each port. A bare scheme, such as `redis:`, leaves it
            to the backend's own variables where the server is.
        needs: Distributions that must be installed for it.
        secure: Whether every connection must be encrypted and carry credentials.
        eventing: Whether writes are logged as events unless a setting says otherwise.
        lasting: Whether memories outlive the process.
    """

    summary: str
    slots: Slots
    needs: tuple[str, ...] = ()
    secure: bool = False
    eventing: bool = True
    lasting: bool = True


class RegisterMode(Protocol):
    """What the hook for modes is handed: call it once per mode."""

    def __call__(self, name: str, mode: Mode) -> None:
        """Offer a mode under the name that `MEMORY_MODE` chooses it by.

        Args:
            name: Lower-case letters, digits and underscores.
            mode: What it chooses.

        Raises:
            PluginError: The name is malformed, or taken.
        """
        ...


class OfferedMode(NamedTuple):
    """A mode that can be chosen.

    Attributes:
        name: What `MEMORY_MODE` calls it.
        mode: What it chooses.
        distribution: Who offers it.
    """

    name: str
    mode: Mode
    distribution: str


class Modes:
    """All modes that can be chosen, in the order in which they were offered."""

    def __init__(self, offered: Iterable[OfferedMode] = ()) -> None:
        """Start with some.

        Args:
            offered: Modes that are there before any plugin is asked.

        Raises:
            PluginError: A name is malformed, or there twice.
        """
        self._offered: dict[str, OfferedMode] = {}
        self._unusable: list[Unusable] = []
        for one in offered:
            self.add(*one)

    def __iter__(self) -> Iterator[OfferedMode]:
        """Go through the modes."""
        return iter(self._offered.values())

    def add(self, name: str, mode: Mode, distribution: str) -> None:
        """Add a mode.

        Args:
            name: What `MEMORY_MODE` will call it.
            mode: What it chooses.
            distribution: Who offers it.

        Raises:
            PluginError: The name is malformed, or taken; both distributions are named.
        """
        if not _NAME.fullmatch(name):
            raise PluginError(
                f"{distribution} registers a mode with the malformed name {name!r}.",
                remedy="A name is lower-case letters, digits and underscores.",
            )
        offered = OfferedMode(name, mode, distribution)
        taken = self._offered.setdefault(name, offered)
        if taken is not offered:
            raise PluginError(
                f"The mode {name!r} is offered by {taken.distribution} and by {distribution}.",
                remedy="Uninstall one of them, or name it in SFM_DISABLED_PLUGINS.",
            )

    def set_aside(self, unusable: Unusable) -> None:
        """Remember a plugin that offers nothing, so that `find` can say so.

        Args:
            unusable: The plugin and why it offers nothing.
        """
        self._unusable.append(unusable)

    def find(self, name: str) -> Mode:
        """Return the mode of a name.

        Args:
            name: The value of `MEMORY_MODE`.

        Returns:
            The mode.

        Raises:
            PluginError: There is no such mode, but not every installed plugin
                is usable: the message says which are not, and why.
            ConfigurationError: There is no such mode.
        """
        offered = self._offered.get(name)
        if offered is not None:
            return offered.mode
        known = f"se one of: {', '.join(self._offered) or 'none'}."
        if self._unusable:
            raise PluginError(
                f"MEMORY_MODE is {name!r}, which no usable plugin offers; not usable are: "
                f"{'; '.join(map(str, self._unusable))}.",
                setting="MEMORY_MODE",
                remedy=f"Mend or enable the one you mean, or u{known}",
            )
        raise ConfigurationError(
            f"MEMORY_MODE is {name!r}, which is no mode.",
            setting="MEMORY_MODE",
            remedy=f"U{known}",
        )
