"""The command that runs the server."""

from __future__ import annotations

import gc
import os
from contextlib import suppress
from socket import socket
from typing import TYPE_CHECKING

import click

from sfm_core.errors import SfmError
from sfm_server.cli.exits import Exit, exit_of
from sfm_server.loading import LoadedSettings, load_settings
from sfm_server.observing.logs import log_config
from sfm_server.settings import Settings

if TYPE_CHECKING:
    import uvicorn
    from fastapi import FastAPI

_WORKER_SECONDS = 60
"""How long a worker may take to start when workers are renewed, or to answer its parent."""


@click.command()
@click.option("--host", metavar="ADDRESS", help="Address to listen on.")
@click.option("--port", metavar="PORT", help="Port to listen on.")
@click.option("--data", metavar="FOLDER", help="Data folder.")
@click.option("--mode", metavar="MODE", help="The named choice of backends.")
@click.option("--workers", metavar="NUMBER", help="Server processes.")
@click.option("--json", "as_json", is_flag=True, help="Print errors as JSON.")
def serve(
    host: str | None,
    port: str | None,
    data: str | None,
    mode: str | None,
    workers: str | None,
    *,
    as_json: bool,
) -> int:
    """Run the HTTP server until it is told to stop.

    On SIGTERM or Ctrl-C it answers the requests in hand, finishes indexing and
    closes the stores.
    """
    del as_json
    # Nothing that imports and start-up make is garbage; looking for it costs a tenth of the time.
    gc.disable()
    given = {
        "SFM_HOST": host,
        "SFM_PORT": port,
        "SFM_DATA_FOLDER": data,
        "MEMORY_MODE": mode,
        "UVICORN_WORKERS": workers,
    }
    overrides = {name: value for name, value in given.items() if value}
    loaded = load_settings(overrides=overrides)
    if loaded.settings.workers > 1:
        return _serve_many(loaded, overrides)
    return _serve_alone(loaded)


def _serve_alone(loaded: LoadedSettings) -> int:
    # They are slow to import, and no other command needs them.
    from sfm_server.app import create_app  # noqa: PLC0415
    from sfm_server.cli.server import StoppableServer  # noqa: PLC0415

    class Server(StoppableServer):
        async def startup(self, sockets: list[socket] | None = None) -> None:
            await super().startup(sockets)
            gc.freeze()
            gc.enable()

    app = create_app(loaded.settings, options=loaded.options)
    server = Server(_config(app, loaded.settings))
    # The library ends the process itself when a start fails; our statuses say more.
    with suppress(SystemExit):
        server.run()
    if server.started:
        return Exit.OK
    failure: SfmError | None = app.state.failure
    return Exit.FAILED if failure is None else exit_of(failure)


def _serve_many(loaded: LoadedSettings, overrides: dict[str, str]) -> int:
    from sfm_server.cli.workers import run_workers  # noqa: PLC0415 - as above
    from sfm_server.observing.processes import shared_folder  # noqa: PLC0415 - as above

    _refuse_unshared(loaded)
    # The workers read the settings themselves, in processes of their own.
    os.environ.update(overrides)
    config = _config("sfm_server.app:from_environment", loaded.settings)
    with shared_folder(os.environ):
        return run_workers(config)


def _config(app: FastAPI | str, settings: Settings) -> uvicorn.Config:
    """Say how to serve an application, or what the function of a name makes."""
    import uvicorn  # noqa: PLC0415 - as above

    from sfm_server.limiting.patience import PatientProtocol  # noqa: PLC0415 - as above

    return uvicorn.Config(
        app,
        factory=isinstance(app, str),
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        lifespan="on",
        access_log=False,
        server_header=False,
        log_config=log_config(settings),
        timeout_graceful_shutdown=settings.shutdown_seconds,
        timeout_keep_alive=settings.keep_alive_seconds,
        timeout_worker_healthcheck=_WORKER_SECONDS,
        http=PatientProtocol,
        ws="none",
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
    )


def _refuse_unshared(loaded: LoadedSettings) -> None:
    from sfm_server.access.authority import Authority  # noqa: PLC0415 - as above
    from sfm_server.selection import select  # noqa: PLC0415 - as above

    selection = select(loaded.settings, options=loaded.options)
    selection.require_backends()
    selection.refuse_unshared("UVICORN_WORKERS")
    # Each worker would find the same wrong, and be started again and again.
    Authority(loaded.settings).load()
