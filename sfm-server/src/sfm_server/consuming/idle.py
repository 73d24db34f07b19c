"""The life of a consumer's process that has nothing to consume."""

from __future__ import annotations

import asyncio
import logging
import signal

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sfm_server.consuming.process import listening, status_server
from sfm_server.settings import Settings

log = logging.getLogger(__name__)


async def idle(settings: Settings) -> None:
    """Do nothing, and be well, until SIGTERM or SIGINT.

    Args:
        settings: Where the status is shown.

    Raises:
        ConfigurationError: The port of the status pages is taken.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    with listening(settings) as listener:
        server = status_server(_status_app(), settings)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        log.info(
            "in mode %r events are published nowhere: there is nothing to do",
            settings.memory_mode,
        )
        try:
            await stop.wait()
        finally:
            server.should_exit = True
            await serving


def _status_app() -> Starlette:
    async def well(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def metrics(_request: Request) -> Response:
        return Response()

    return Starlette(
        routes=[Route("/healthz", well), Route("/readyz", well), Route("/metrics", metrics)]
    )
