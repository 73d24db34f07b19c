"""The life of a consumer's process: signals, status pages, and an end in good order."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from sfm_core.engine.consuming.consumer import Consumer
from sfm_core.errors import ConfigurationError
from sfm_server.consuming.status import status_app
from sfm_server.metrics import Metrics
from sfm_server.settings import Settings

log = logging.getLogger(__name__)


class StatusServer(uvicorn.Server):
    """Serves the status pages, and leaves signals to the consumer."""

    @contextmanager
    def capture_signals(self) -> Generator[None]:
        """Capture none."""
        yield


async def run(consumer: Consumer, settings: Settings, metrics: Metrics) -> None:
    """Consume until SIGTERM or SIGINT; a second one does not wait for the batch in hand.

    Args:
        consumer: What to run.
        settings: Where its status is shown, and how long its end may take.
        metrics: Figures of its engine.

    Raises:
        ConfigurationError: The port of the status pages is taken.
        SfmError: Something failed that no repetition mends.
    """
    stop = _Stop(consumer, settings.shutdown_seconds)
    with listening(settings) as listener:
        server = status_server(status_app(consumer, metrics), settings)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        working = asyncio.create_task(consumer.run())
        try:
            with stop.on_signals(working):
                await asyncio.wait([working])
        finally:
            working.cancel()
            await asyncio.wait([working])
            server.should_exit = True
            await serving
    if working.cancelled():
        log.warning("ended before the batch in hand was done; it will be handed out again")
    else:
        working.result()
        log.info("the consumer is closed")


class _Stop:
    """Ends a consumer: in good order at first, at once where that takes too long."""

    def __init__(self, consumer: Consumer, patience_seconds: float) -> None:
        self._consumer = consumer
        self._patience_seconds = patience_seconds
        self._asked = False

    @contextmanager
    def on_signals(self, working: asyncio.Task[None]) -> Generator[None]:
        loop = asyncio.get_running_loop()
        signals = (signal.SIGTERM, signal.SIGINT)
        for number in signals:
            loop.add_signal_handler(number, self._ask, working)
        try:
            yield
        finally:
            for number in signals:
                loop.remove_signal_handler(number)

    def _ask(self, working: asyncio.Task[None]) -> None:
        if self._asked:
            working.cancel()
            return
        self._asked = True
        log.info("finishing the batch in hand")
        self._consumer.stop()
        asyncio.get_running_loop().call_later(self._patience_seconds, working.cancel)


@contextmanager
def listening(settings: Settings) -> Generator[socket.socket]:
    """Listen for those who ask for the status.

    Args:
        settings: Where.

    Yields:
        What listens.

    Raises:
        ConfigurationError: The port is taken, or the address is not this machine's.
    """
    address = (settings.host, settings.consumer_metrics_port)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        listener = socket.create_server(address, family=family)
    except OSError as error:
        raise ConfigurationError(
            f"{address[0]}:{address[1]} cannot be listened on: {error.strerror}.",
            setting="CONSUMER_METRICS_PORT",
            remedy="Name a port that is free, or 0 for any.",
        ) from error
    with listener:
        log.info("status at http://%s:%d", *listener.getsockname()[:2])
        yield listener


def status_server(app: Starlette, settings: Settings) -> StatusServer:
    """Make what serves the status pages.

    Args:
        app: The pages.
        settings: How long connections are kept.

    Returns:
        The server; it does not run.
    """
    return StatusServer(
        uvicorn.Config(
            app,
            lifespan="off",
            access_log=False,
            server_header=False,
            log_config=None,
            timeout_graceful_shutdown=1,
            timeout_keep_alive=settings.keep_alive_seconds,
        )
    )
