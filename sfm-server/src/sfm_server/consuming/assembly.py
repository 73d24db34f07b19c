"""From settings to a consumer: its source and its handlers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import NamedTuple

from sfm_core.engine.consuming.consumer import Consumer
from sfm_core.engine.opening import BackendMaker
from sfm_core.errors import ConfigurationError
from sfm_core.handling import FollowedMemory, HandlerContext, OfferedHandler
from sfm_core.protocols.handler import EventHandler
from sfm_core.protocols.source import EventSource
from sfm_core.resilience import Policy
from sfm_server.assembly import open_selection
from sfm_server.masking import mask
from sfm_server.selection import Selection


class ChosenHandler(NamedTuple):
    """A handler that the settings choose.

    Attributes:
        url: The URL that chooses it; may hold what is secret.
        offered: What the plugin says of it.
        make: Makes one that is not open; raises what its factory raises.
    """

    url: str
    offered: OfferedHandler
    make: Callable[[], EventHandler]


def make_consumer(selection: Selection) -> Consumer:
    """Make the consumer that the settings ask for. Nothing is opened.

    Args:
        selection: What the settings choose.

    Returns:
        The consumer; it does not run.

    Raises:
        ConfigurationError: There is no source, no handler, or one of them cannot work.
        PluginError: Its plugin is unusable.
    """
    # The others leave indexing to this process, and nobody else would do it for a replica.
    inline = selection.settings.model_copy(update={"indexing": "inline"})
    selection = replace(selection, settings=inline)
    source = source_maker(selection)
    context = selection.context()
    handlers = {name: one.make for name, one in chosen_handlers(selection).items()}
    # What cannot work is told now, not when its turn comes.
    for make in handlers.values():
        make()
    return Consumer(
        source,
        handlers,
        clock=context.clock,
        batch=selection.settings.consumer_batch,
        observer=selection.observer,
    )


def nothing_is_published(selection: Selection) -> bool:
    """Tell whether the mode keeps its events where no other process sees them.

    Args:
        selection: What the settings choose.

    Returns:
        Whether no consumer can work in the mode. A stream that a setting names
        is for a consumer, whether it can be used or not.

    Raises:
        ConfigurationError: The mode's stream is not installed, or cannot work.
        PluginError: Its plugin is unusable.
    """
    if selection.settings.source_url or selection.settings.events_url:
        return False
    url = selection.mode.slots.events
    return (
        url is None
        or not BackendMaker(selection.registry, selection.context(), Policy()).source(url).shared
    )


def source_maker(selection: Selection) -> Callable[[], EventSource]:
    """Return what makes the source of the settings.

    Args:
        selection: What the settings choose.

    Returns:
        Makes a source that is not open; raises what its factory raises.

    Raises:
        ConfigurationError: There is none, it cannot work, or other processes
            do not see what is published to it.
        PluginError: Its plugin is unusable.
    """
    url = selection.source
    if url is None:
        raise ConfigurationError(
            f"In mode {selection.settings.memory_mode!r} events are published nowhere, "
            "so there is nothing to consume.",
            setting="SFM_SOURCE_URL",
            remedy="Set SFM_EVENTS_URL, for the servers and for the consumer, or SFM_SOURCE_URL.",
        )

    def make() -> EventSource:
        return BackendMaker(selection.registry, selection.context(), Policy()).source(url)

    if not make().shared:
        raise ConfigurationError(
            f"The stream {mask(url)} belongs to one process, so no other one sees its events.",
            setting="SFM_SOURCE_URL",
            remedy="Name a stream that processes share, for the servers and for the consumer.",
        )
    return make


def chosen_handlers(selection: Selection) -> dict[str, ChosenHandler]:
    """Return the handlers of the settings, by scheme.

    A second one of a scheme is called `scheme#2`, and so on.

    Args:
        selection: What the settings choose.

    Returns:
        The handlers, in order.

    Raises:
        ConfigurationError: There is none, or no plugin offers one of them.
        PluginError: A plugin is unusable.
    """
    chosen: dict[str, ChosenHandler] = {}
    for url in selection.settings.consumer_handlers:
        offered = selection.plugins.handlers.find(url)
        count = sum(one.offered is offered for one in chosen.values())
        name = f"{offered.scheme}#{count + 1}" if count else offered.scheme
        make = partial(offered.factory, url, _context(selection))
        chosen[name] = ChosenHandler(url, offered, make)
    if not chosen:
        raise ConfigurationError(
            "A consumer without a handler would throw events away.",
            setting="SFM_CONSUMER_HANDLERS",
            remedy="Leave it out for `indexer:`, or name others.",
        )
    return chosen


def _context(selection: Selection) -> HandlerContext:
    # These are settings of the server; the handler that needs them is registered like any other.
    options = {**selection.options, **selection.settings.webhook_options()}
    return HandlerContext(
        backends=replace(selection.context(), options=options),
        registry=selection.registry,
        settings=selection.engine_settings(),
        open_memory=lambda: _open_memory(selection),
    )


@asynccontextmanager
async def _open_memory(selection: Selection) -> AsyncGenerator[FollowedMemory]:
    # Which embedder serves is for the servers to decide.
    async with open_selection(selection, decides=False) as memory:
        yield memory.engine
