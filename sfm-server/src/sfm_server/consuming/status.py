"""What a consumer answers over HTTP: its metrics and its health."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sfm_core.engine.consuming.consumer import SOURCE, Consumer
from sfm_core.errors import BackendUnavailableError, SfmError
from sfm_server.consuming.figures import Figures
from sfm_server.metrics import CONTENT_TYPE, Metrics
from sfm_server.problems import problem_response

PATIENCE = timedelta(seconds=5)
"""How long the source may take to say that it is there."""


def status_app(consumer: Consumer, shown: Metrics) -> Starlette:
    """Make the application that tells how a consumer does.

    Args:
        consumer: The consumer.
        shown: Figures of its engine.

    Returns:
        An ASGI application with `/healthz`, `/readyz` and `/metrics`.
    """
    figures = Figures(consumer.statistics)

    async def alive(_request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def ready(request: Request) -> Response:
        error = await _trouble(consumer)
        if error is not None:
            return problem_response(error, request.scope["path"])
        return JSONResponse({"status": "ok"})

    async def metrics(_request: Request) -> Response:
        return Response(figures.render() + shown.render(), media_type=CONTENT_TYPE)

    return Starlette(
        routes=[
            Route("/healthz", alive),
            Route("/readyz", ready),
            Route("/metrics", metrics),
        ]
    )


async def _trouble(consumer: Consumer) -> SfmError | None:
    """Return what does not work: what is being tried again, or the source now."""
    for error in consumer.statistics.troubles.values():
        return error
    try:
        async with asyncio.timeout(PATIENCE.total_seconds()):
            await consumer.ping()
    except TimeoutError:
        return BackendUnavailableError("The source does not answer.", backend=SOURCE)
    except SfmError as error:
        return error
    return None
