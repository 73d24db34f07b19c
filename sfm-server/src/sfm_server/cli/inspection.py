"""Commands that show what is installed and what is set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import click

from sfm_core.plugins import PluginInfo, load_plugins
from sfm_core.registry import PortName
from sfm_core.settings import Slots
from sfm_server.cli.output import show, table
from sfm_server.loading import load_settings
from sfm_server.modes import slots_of

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferedBackend:
    """A backend of a plugin.

    Attributes:
        port: The port it serves.
        scheme: The URL scheme that chooses it.
        summary: What it is, in one line.
        selected: Whether the settings choose it.
    """

    port: str
    scheme: str
    summary: str
    selected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginAnswer:
    """An installed plugin.

    Attributes:
        name: Name of its entry point.
        distribution: The distribution it came from.
        version: Version of that.
        state: "active", "disabled" or "quarantined".
        reason: Why it is not active, or "".
        backends: What it offers.
    """

    name: str
    distribution: str
    version: str
    state: str
    reason: str
    backends: tuple[OfferedBackend, ...]


def schemes_of(slots: Slots) -> Mapping[PortName, str]:
    """Return the URL scheme that is chosen for each port; "" where none is."""
    urls = {
        PortName.KV: slots.kv,
        PortName.VECTOR: slots.vector,
        PortName.GRAPH: slots.graph,
        PortName.CACHE: slots.cache,
        PortName.EMBEDDER: slots.embedder,
        PortName.EVENTS: slots.events or "",
    }
    return {port: urlsplit(url).scheme for port, url in urls.items()}


@click.command()
@_json
def plugins(*, as_json: bool) -> None:
    """Show the installed plugins, what they offer, and which are chosen or set aside."""
    settings = load_settings().settings
    chosen = schemes_of(slots_of(settings))
    installed = load_plugins(disabled=settings.disabled_plugins).installed
    found = [_described(info, chosen) for info in installed]
    show(found, as_json=as_json, text=lambda: _listing(found))


@click.command()
@_json
def config(*, as_json: bool) -> None:
    """Show every setting, its value and where that came from."""
    settings = load_settings().listing()
    show(
        settings,
        as_json=as_json,
        text=lambda: table(
            ["SETTING", "VALUE", "FROM"],
            [[one.variable, one.value or "-", one.origin] for one in settings],
        ),
    )


def _described(info: PluginInfo, chosen: Mapping[PortName, str]) -> PluginAnswer:
    return PluginAnswer(
        name=info.name,
        distribution=info.distribution,
        version=info.version,
        state=info.state.value,
        reason=info.reason,
        backends=tuple(
            OfferedBackend(
                port=one.port.value,
                scheme=one.scheme,
                summary=one.summary,
                selected=chosen[one.port] == one.scheme,
            )
            for one in info.backends
        ),
    )


def _listing(found: list[PluginAnswer]) -> str:
    rows = [
        [
            "*" if backend.selected else "",
            plugin.name,
            f"{plugin.distribution} {plugin.version}",
            backend.port,
            f"{backend.scheme}:",
            backend.summary,
        ]
        for plugin in found
        for backend in plugin.backends
    ]
    lines = [table(["", "PLUGIN", "FROM", "PORT", "URL", "WHAT IT IS"], rows)]
    lines += [
        f"{plugin.state}: {plugin.name} of {plugin.distribution} {plugin.reason}."
        for plugin in found
        if plugin.state != "active"
    ]
    return "\n".join([*lines, "* is chosen by the settings."])
