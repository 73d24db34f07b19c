"""What happens when the application starts and stops."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sfm_core.plugins import PluginState
from sfm_server.assembly import open_memory
from sfm_server.closing import heard_in, unless_told
from sfm_server.export_folder import check_folder
from sfm_server.files import FileWorker
from sfm_server.limiting.counting import counting_in
from sfm_server.observing.collector import traced
from sfm_server.partials import remove_all_abandoned
from sfm_server.replacing import replace_file
from sfm_server.selection import Selection
from sfm_server.settings import Settings

if TYPE_CHECKING:
    from sfm_server.app import MemoryApp

_OPENAPI_DELAY = timedelta(seconds=0.5)

log = logging.getLogger(__name__)


@asynccontextmanager
async def run(app: MemoryApp) -> AsyncGenerator[None]:
    """Open the engine before the first request, and close it after the last.

    Args:
        app: The application; its `state` holds settings and options.

    Yields:
        While requests may be served.

    Raises:
        SfmError: The engine cannot be opened; nothing was started.
        StoppedEarlyError: The process was told to stop before that was done.
    """
    settings: Settings = app.state.settings
    options: Mapping[str, str] = app.state.options
    extra: Mapping[str, object] = app.state.extra_plugins
    async with AsyncExitStack() as stack:
        stack.enter_context(heard_in(app.state.closing))
        _stop_with_the_parent(stack)
        if settings.traces_exporter != "none":
            tracing = traced(
                app.state.observer, app.state.metrics, settings.otlp_endpoint, app.version
            )
            await stack.enter_async_context(tracing)
        files = FileWorker()
        stack.callback(files.close)
        await files.run(lambda: _look_after_exports(settings.export_folder))
        await stack.enter_async_context(app.state.authority.watching())
        opening = stack.enter_async_context(
            open_memory(
                settings,
                options=options,
                extra_plugins=extra,
                observer=app.state.observer,
            )
        )
        # It may take over all of another truth, or wait for others.
        memory = await unless_told(app.state.closing, opening)
        app.state.files = files
        app.state.engine = memory.engine
        app.state.keys = memory.selection.keys
        app.state.quarantined = [
            info.name
            for info in memory.selection.plugins.installed
            if info.state is PluginState.QUARANTINED
        ]
        stack.callback(_forget_engine, app)
        await stack.enter_async_context(
            counting_in(app.state.ledger, memory.engine.cache, settings)
        )
        _warn_if_open(memory.selection)
        if settings.openapi_path is not None or memory.selection.mode.lasting:
            task = asyncio.create_task(_write_openapi_soon(app, files))
            stack.push_async_callback(_cancel, task)
        yield
    log.info("the memory is closed")


def _look_after_exports(folder: Path | None) -> None:
    check_folder(folder)
    if folder is not None:
        remove_all_abandoned(folder)


def _warn_if_open(selection: Selection) -> None:
    if selection.settings.authenticates:
        return
    if selection.mode.secure:
        # Louder, because such a mode is chosen for services that hold each other to credentials;
        # not refused, because a gateway before this server may be what asks for them.
        log.error(
            "SOMA_API_TOKEN is not set in mode %s: anyone who reaches the port can use the "
            "memory, unless something before this server asks who they are",
            selection.settings.memory_mode,
        )
    else:
        log.warning("SOMA_API_TOKEN is not set: anyone who reaches the port can use the memory")


def _stop_with_the_parent(stack: AsyncExitStack) -> None:
    """In a worker process, stop as on SIGTERM when the process that started it is gone.

    A parent that was killed cannot stop its workers, and as long as one of them
    listens, the next start finds the port taken.
    """
    parent = multiprocessing.parent_process()
    if parent is None:
        return
    loop = asyncio.get_running_loop()
    sentinel = parent.sentinel

    def stop() -> None:
        loop.remove_reader(sentinel)
        log.warning("the process that started this worker is gone: stopping")
        signal.raise_signal(signal.SIGTERM)

    loop.add_reader(sentinel, stop)
    stack.callback(loop.remove_reader, sentinel)


def _forget_engine(app: MemoryApp) -> None:
    app.state.engine = None


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def write_openapi(app: MemoryApp, files: FileWorker) -> None:
    """Write the OpenAPI document where the setting says, or into the data folder.

    Args:
        app: The application.
        files: What writes it.
    """
    settings: Settings = app.state.settings
    path = settings.openapi_path or settings.data_folder / "openapi.json"

    def write() -> None:
        replace_file(path, msgspec.json.format(msgspec.json.encode(app.openapi()), indent=2))

    try:
        await files.run(write)
    except OSError as error:
        # The document is also served, so its copy is not worth a start that fails.
        log.warning("the OpenAPI document is not written to %s: %s", path, error.strerror)


async def _write_openapi_soon(app: MemoryApp, files: FileWorker) -> None:
    # Making the document takes a good part of a second, which the first requests need more.
    await asyncio.sleep(_OPENAPI_DELAY.total_seconds())
    await write_openapi(app, files)
