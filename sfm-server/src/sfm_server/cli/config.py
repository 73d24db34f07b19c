"""The command that shows the settings."""

from __future__ import annotations

import click

from sfm_server.cli.output import show, table
from sfm_server.listing import list_settings
from sfm_server.loading import load_settings
from sfm_server.selection import select


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def config(*, as_json: bool) -> None:
    """Show every setting and every variable of a backend, its value and where that came from."""
    loaded = load_settings()
    selection = select(loaded.settings, options=loaded.options)
    settings = list_settings(loaded, selection.plugins.readers)
    show(
        settings,
        as_json=as_json,
        text=lambda: table(
            ["SETTING", "VALUE", "FROM"],
            [[one.variable, one.value or "-", one.origin] for one in settings],
        ),
    )
