"""The command that shows the modes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import click

from sfm_core.errors import ConfigurationError
from sfm_core.modes import OfferedMode
from sfm_core.registry import ENGINE_PORTS
from sfm_server.cli.output import show, table
from sfm_server.loading import load_settings
from sfm_server.masking import mask
from sfm_server.modes import urls_of
from sfm_server.selection import Selection, select


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeAnswer:
    """A mode that can be chosen.

    Attributes:
        name: What `MEMORY_MODE` calls it.
        summary: What it is for.
        distribution: Who offers it.
        selected: Whether the settings choose it.
        slots: The URL of each port; of the selected one, as the settings override it.
        secure: Whether it requires encryption and credentials.
        eventing: Whether it logs writes as events.
        lasting: Whether memories outlive the process.
        needs: Distributions that must be installed for it.
        not_installed: Those of them that are not.
    """

    name: str
    summary: str
    distribution: str
    selected: bool
    slots: Mapping[str, str]
    secure: bool
    eventing: bool
    lasting: bool
    needs: tuple[str, ...]
    not_installed: tuple[str, ...]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def modes(*, as_json: bool) -> None:
    """Show the modes, which backends they choose, and who offers them."""
    selection = select_installed()
    found = [_mode(offered, selection) for offered in selection.plugins.modes]
    show(found, as_json=as_json, text=lambda: _listing(found, selection))


def select_installed() -> Selection:
    """Return what the settings choose of what is installed; raises as `select` does."""
    loaded = load_settings()
    return select(loaded.settings, options=loaded.options)


def lacking(selection: Selection) -> list[str]:
    """Return the line that a start with these settings would end with, if it would."""
    try:
        selection.require_backends()
    except ConfigurationError as error:
        return [str(error)]
    return []


def _mode(offered: OfferedMode, selection: Selection) -> ModeAnswer:
    mode = offered.mode
    selected = mode is selection.mode
    urls = urls_of(selection.slots if selected else mode.slots)
    return ModeAnswer(
        name=offered.name,
        summary=mode.summary,
        distribution=offered.distribution,
        selected=selected,
        slots={port.value: mask(url) for port, url in urls.items()},
        secure=mode.secure,
        eventing=mode.eventing,
        lasting=mode.lasting,
        needs=mode.needs,
        not_installed=selection.not_installed(mode),
    )


def _listing(found: list[ModeAnswer], selection: Selection) -> str:
    rows = [
        [
            "*" if mode.selected else "",
            mode.name,
            mode.distribution,
            *(mode.slots.get(port.value, "-") for port in ENGINE_PORTS),
            "no" if mode.not_installed else "yes",
            mode.summary,
        ]
        for mode in found
    ]
    heads = ["", "MODE", "FROM", *(port.name for port in ENGINE_PORTS), "INSTALLED", "WHAT IT IS"]
    ending = "* is chosen by the settings, and shown as they override it."
    return "\n".join([table(heads, rows), ending, *lacking(selection)])
