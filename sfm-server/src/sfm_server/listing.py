"""Lists every setting with its value and where that came from."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pydantic import SecretStr

from sfm_core.handling import OfferedHandler
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import Registration
from sfm_server.loading import LoadedSettings
from sfm_server.masking import HIDDEN, mask, mask_all, show_option
from sfm_server.settings import PLUGIN_PREFIX, Settings, variable_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting, for listings.

    Attributes:
        variable: The environment variable that sets it.
        value: Its value as text, with secrets hidden.
        origin: Where the value came from: "command line", "environment", the
            path of a file, or "default".
        description: What it means.
        used_by: The distributions whose backends or event handlers read it; ""
            for settings of the server.
    """

    variable: str
    value: str
    origin: str
    description: str
    used_by: str = ""


def list_settings(
    loaded: LoadedSettings, readers: Iterable[Registration[Backend] | OfferedHandler] = ()
) -> list[Setting]:
    """Return every setting with its value and origin, secrets hidden.

    Args:
        loaded: The settings.
        readers: Backends and event handlers whose variables to list too.

    Returns:
        The settings of the server, then the variables of the others.
    """
    known = [
        Setting(
            variable=variable_of(name),
            value=_shown(getattr(loaded.settings, name)),
            origin=loaded.origins.get(variable_of(name), "default"),
            description=info.description or "",
        )
        for name, info in Settings.model_fields.items()
    ]
    return known + _of_readers(loaded, readers, {setting.variable for setting in known})


def _of_readers(
    loaded: LoadedSettings,
    readers: Iterable[Registration[Backend] | OfferedHandler],
    ours: Collection[str],
) -> list[Setting]:
    meanings: dict[str, str] = {}
    used_by: dict[str, list[str]] = {}
    for reader in readers:
        for variable, meaning in reader.options.items():
            meanings.setdefault(variable, meaning)
            if reader.distribution not in used_by.setdefault(variable, []):
                used_by[variable].append(reader.distribution)
    undeclared = {name for name in loaded.options if name.startswith(PLUGIN_PREFIX)}
    return [
        Setting(
            variable=name,
            value=show_option(name, loaded.options.get(name, ""), known=name in meanings),
            origin=loaded.origins.get(name, "default"),
            description=meanings.get(name, "Handed to the backends."),
            used_by=", ".join(used_by.get(name, ())),
        )
        for name in sorted((meanings.keys() | undeclared) - set(ours))
    ]


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return HIDDEN
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return mask_all([str(part) for part in value])  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]  # a tuple of any setting
    return mask(str(value))
