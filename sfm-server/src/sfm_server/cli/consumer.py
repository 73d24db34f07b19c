"""The command that runs the consumer."""

from __future__ import annotations

import asyncio
import logging.config
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from importlib.metadata import version
from types import MappingProxyType

import click

from sfm_server.loading import load_settings
from sfm_server.observing.logs import log_config
from sfm_server.selection import select

_VARIABLES: Mapping[str, str] = MappingProxyType(
    {
        "source": "SFM_SOURCE_URL",
        "handlers": "SFM_CONSUMER_HANDLERS",
        "host": "SFM_HOST",
        "port": "CONSUMER_METRICS_PORT",
        "data": "SFM_DATA_FOLDER",
        "mode": "MEMORY_MODE",
    }
)
"""The variable that each option stands above."""


@click.command()
@click.option("--source", metavar="URL", help="Where to get events from.")
@click.option("--handlers", metavar="URLS", help="What to do with them, with commas.")
@click.option("--host", metavar="ADDRESS", help="Address of the status pages.")
@click.option("--port", metavar="PORT", help="Port of the status pages; 0 takes a free one.")
@click.option("--data", metavar="FOLDER", help="Data folder.")
@click.option("--mode", metavar="MODE", help="The named choice of backends.")
@click.option("--or-idle", is_flag=True, help="Where nothing is published, wait, do not fail.")
@click.option("--json", "as_json", is_flag=True, help="Print errors as JSON.")
def consumer(*, or_idle: bool, as_json: bool, **given: str | None) -> None:
    """Take published events to handlers until it is told to stop.

    On SIGTERM or Ctrl-C it finishes the batch in hand, acknowledges it and
    leaves the group. Its metrics and health are at CONSUMER_METRICS_PORT.

    With --or-idle it is well and does nothing in a mode whose events stay in
    the servers, for stacks that start it in every mode.
    """
    del as_json
    # No other command needs them, and they are slow to import.
    from sfm_server.consuming.assembly import make_consumer, nothing_is_published  # noqa: PLC0415
    from sfm_server.consuming.idle import idle  # noqa: PLC0415
    from sfm_server.consuming.process import run  # noqa: PLC0415
    from sfm_server.metrics import Metrics  # noqa: PLC0415
    from sfm_server.observing.collector import traced  # noqa: PLC0415
    from sfm_server.observing.observer import ServerObserver  # noqa: PLC0415

    overrides = {_VARIABLES[name]: value for name, value in given.items() if value}
    loaded = load_settings(overrides=overrides)
    settings = loaded.settings
    logging.config.dictConfig(log_config(settings))
    metrics = Metrics()
    observer = ServerObserver(metrics.work)
    selection = replace(select(settings, options=loaded.options), observer=observer)
    if or_idle and nothing_is_published(selection):
        asyncio.run(idle(settings))
        return
    made = make_consumer(selection)

    async def work() -> None:
        async with AsyncExitStack() as stack:
            if settings.traces_exporter != "none":
                tracing = traced(
                    observer, metrics, settings.otlp_endpoint, version("somafractalmemory-server")
                )
                await stack.enter_async_context(tracing)
            await run(made, settings, metrics)

    asyncio.run(work())
