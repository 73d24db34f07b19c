"""The command that shows the plugins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import click

from sfm_core.plugins import PluginInfo
from sfm_core.registry import PortName
from sfm_server.cli.modes import lacking, select_installed
from sfm_server.cli.output import show, table
from sfm_server.modes import urls_of
from sfm_server.selection import Selection


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
class OfferedHandler:
    """An event handler of a plugin.

    Attributes:
        scheme: The URL scheme that chooses it.
        summary: What it does, in one line.
        selected: Whether the settings choose it.
    """

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
        backends: The backends it offers.
        handlers: The event handlers it offers.
        modes: The names of the modes it offers.
    """

    name: str
    distribution: str
    version: str
    state: str
    reason: str
    backends: tuple[OfferedBackend, ...]
    handlers: tuple[OfferedHandler, ...]
    modes: tuple[str, ...]


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def plugins(*, as_json: bool) -> None:
    """Show the installed plugins, what they offer, and which are chosen or set aside."""
    selection = select_installed()
    chosen = _Chosen(selection)
    found = [_described(info, chosen) for info in selection.plugins.installed]
    show(found, as_json=as_json, text=lambda: _listing(found, selection))


class _Chosen:
    """The schemes that the settings choose."""

    def __init__(self, selection: Selection) -> None:
        urls = urls_of(selection.slots)
        if selection.source is not None:
            urls[PortName.SOURCE] = selection.source
        self.backends = {(port, _scheme(url)) for port, url in urls.items()}
        self.handlers = {_scheme(url) for url in selection.settings.consumer_handlers}


def _scheme(url: str) -> str:
    return url.partition(":")[0]


def _described(info: PluginInfo, chosen: _Chosen) -> PluginAnswer:
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
                selected=(one.port, one.scheme) in chosen.backends,
            )
            for one in info.backends
        ),
        handlers=tuple(
            OfferedHandler(
                scheme=one.scheme, summary=one.summary, selected=one.scheme in chosen.handlers
            )
            for one in info.handlers
        ),
        modes=tuple(mode.name for mode in info.modes),
    )


def _listing(found: list[PluginAnswer], selection: Selection) -> str:
    rows = [
        [
            "*" if offered.selected else "",
            plugin.name,
            f"{plugin.distribution} {plugin.version}",
            port,
            f"{offered.scheme}:",
            offered.summary,
        ]
        for plugin in found
        for port, offered in _offered(plugin)
    ]
    lines = [table(["", "PLUGIN", "FROM", "PORT", "URL", "WHAT IT IS"], rows)]
    lines += [
        f"{plugin.state}: {plugin.name} of {plugin.distribution} {plugin.reason}."
        for plugin in found
        if plugin.state != "active"
    ]
    return "\n".join([*lines, "* is chosen by the settings.", *lacking(selection)])


def _offered(plugin: PluginAnswer) -> Iterator[tuple[str, OfferedBackend | OfferedHandler]]:
    for backend in plugin.backends:
        yield backend.port, backend
    for handler in plugin.handlers:
        yield "handler", handler
