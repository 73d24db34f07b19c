"""Reads settings from the command line, the environment and a `.env` file.

The first of these that has a variable decides. An empty value counts as none,
so that `SOMA_API_TOKEN=` in a file means "no token". A variable that begins
with `SFM_` and that nothing knows stops the start, wherever it is set:
a misspelt setting would otherwise do nothing, silently.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from pydantic import ValidationError

from sfm_core.errors import ConfigurationError
from sfm_server.masking import mask
from sfm_server.setting_kinds import PREFIX
from sfm_server.settings import PLUGIN_PREFIX, Settings, variable_of

_SECRETS = frozenset({"SOMA_API_TOKEN", "SFM_WEBHOOK_SECRET", "SFM_ENCRYPTION_KEYS"})
DEFAULT_ENV_FILE = Path(".env")
_NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSettings:
    """Settings along with where they came from.

    Attributes:
        settings: The settings.
        options: All other variables, by name, for backends to read what they declare.
        origins: Where each value came from, by variable; defaults are left out.
    """

    settings: Settings
    options: Mapping[str, str] = field(repr=False)
    origins: Mapping[str, str] = field(repr=False)


def load_settings(
    environ: Mapping[str, str] | None = None,
    *,
    env_file: Path = DEFAULT_ENV_FILE,
    overrides: Mapping[str, str] = _NOTHING,
) -> LoadedSettings:
    """Read all settings.

    Args:
        environ: Environment variables; those of the process when `None`.
        env_file: A file of `NAME=value` lines; nothing happens if it is missing.
        overrides: Values from the command line, by variable.

    Returns:
        The settings and their origins.

    Raises:
        ConfigurationError: A variable is unknown, or its value cannot be used.
            The message names the variable.
    """
    environ = os.environ if environ is None else environ
    sources = (
        (str(env_file), _read_file(env_file, environ)),
        ("environment", environ),
        ("command line", overrides),
    )
    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    for origin, source in sources:
        for variable, value in source.items():
            if value:
                values[variable] = value
                origins[variable] = origin
    known = {variable_of(name) for name in Settings.model_fields}
    _refuse_unknown(values, origins, known)
    settings = _validated({name: values[name] for name in known & values.keys()})
    return LoadedSettings(
        settings=settings,
        options={name: value for name, value in values.items() if name not in known},
        origins=origins,
    )


def _read_file(path: Path, environ: Mapping[str, str]) -> Mapping[str, str]:
    if not path.is_file():
        return _NOTHING
    # Most starts have no such file, and the parser costs start-up time.
    from sfm_server.env_file import read_env_file  # noqa: PLC0415

    return read_env_file(path, environ)


def _refuse_unknown(values: Mapping[str, str], origins: Mapping[str, str], known: set[str]) -> None:
    for variable in sorted(values):
        if variable.startswith(PREFIX) and not variable.startswith(PLUGIN_PREFIX):
            if variable in known:
                continue
            close = difflib.get_close_matches(variable, known, n=1)
            raise ConfigurationError(
                f"{variable} ({origins[variable]}) is no setting.",
                setting=variable,
                remedy=f"Did you mean {close[0]}?" if close else "`sfm config` lists them all.",
            )


def _validated(values: Mapping[str, str]) -> Settings:
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        variable = str(first["loc"][0])
        given = "" if variable in _SECRETS else f" is {mask(values[variable])[:200]!r}"
        raise ConfigurationError(
            f"{variable}{given}: {first['msg']}.",
            setting=variable,
            remedy="Correct it, or remove it to use the default.",
        ) from error
