"""Opening the chosen backends."""

from __future__ import annotations

from contextlib import AsyncExitStack
from urllib.parse import urlsplit
from uuid import uuid4

from sfm_core.engine.index import index_for
from sfm_core.engine.observed import observed
from sfm_core.engine.stores import Stores
from sfm_core.errors import ConfigurationError
from sfm_core.protocols.cache import Cache
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.graph import GraphStore
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.protocols.source import EventSource
from sfm_core.protocols.vector import VectorStore
from sfm_core.registry import LOCAL, SECURE, BackendContext, PortName, Registry
from sfm_core.resilience import (
    EMBEDDER_POLICY,
    Policy,
    ResilientCache,
    ResilientEmbedder,
    ResilientEventSink,
    ResilientGraphStore,
    ResilientKeyValueStore,
    ResilientVectorStore,
)
from sfm_core.settings import EngineSettings, Slots


async def open_stores(
    stack: AsyncExitStack,
    slots: Slots,
    maker: BackendMaker,
    settings: EngineSettings,
) -> Stores:
    """Open the chosen backends.

    Args:
        stack: Closes them, in reverse order.
        slots: Which backend serves which port.
        maker: Makes them.
        settings: Settings of the engine.

    Returns:
        The open backends.

    Raises:
        ConfigurationError: A backend is unknown or its settings cannot work.
        BackendUnavailableError: A backend cannot be reached.
    """
    kv = await stack.enter_async_context(maker.kv(slots.kv))
    vector = await stack.enter_async_context(maker.vector(slots.vector))
    graph = await stack.enter_async_context(maker.graph(slots.graph))
    cache = await stack.enter_async_context(maker.cache(slots.cache))
    embedder = await stack.enter_async_context(maker.embedder(slots.embedder))
    sink = None
    if slots.events is not None:
        sink = await stack.enter_async_context(maker.events(slots.events))
    return Stores(
        kv=kv,
        vector=vector,
        graph=graph,
        cache=cache,
        sink=sink,
        index=index_for(slots.embedder, embedder, settings.text),
        settings=settings,
        clock=maker.clock,
        owner=str(uuid4()),
        observer=maker.observer,
    )


class BackendMaker:
    """Makes backends, and puts patience around those that can be cut off.

    Around that comes what the context says, and outermost the observer.

    Attributes:
        clock: The clock of all of them.
        observer: Who is told of their calls.
    """

    def __init__(self, registry: Registry, context: BackendContext, policy: Policy) -> None:
        """Make what `registry` offers.

        Args:
            registry: The backends that can be chosen.
            context: What backends need beside their URLs.
            policy: How patient to be.
        """
        self.clock = context.clock
        self.observer = context.observer
        self._registry = registry
        self._context = context
        self._policy = policy

    def kv(self, url: str) -> KeyValueStore:
        """Make the key-value store that a URL chooses; raises what its factory raises."""
        made = self._registry.create_kv(url, self._context)
        if not self._is_local(PortName.KV, url):
            made = ResilientKeyValueStore(made, clock=self._context.clock, policy=self._policy)
        return observed(self._context.wrapping.kv(made), PortName.KV, self.observer)

    def vector(self, url: str) -> VectorStore:
        """Make the vector store that a URL chooses; raises what its factory raises."""
        made = self._registry.create_vector(url, self._context)
        if not self._is_local(PortName.VECTOR, url):
            made = ResilientVectorStore(made, clock=self._context.clock, policy=self._policy)
        return observed(self._context.wrapping.vector(made), PortName.VECTOR, self.observer)

    def graph(self, url: str) -> GraphStore:
        """Make the graph store that a URL chooses; raises what its factory raises."""
        made = self._registry.create_graph(url, self._context)
        if not self._is_local(PortName.GRAPH, url):
            made = ResilientGraphStore(made, clock=self._context.clock, policy=self._policy)
        return observed(made, PortName.GRAPH, self.observer)

    def cache(self, url: str) -> Cache:
        """Make the cache that a URL chooses; raises what its factory raises."""
        made = self._registry.create_cache(url, self._context)
        if not self._is_local(PortName.CACHE, url):
            made = ResilientCache(made, clock=self._context.clock, policy=self._policy)
        return observed(made, PortName.CACHE, self.observer)

    def events(self, url: str) -> EventSink:
        """Make the event sink that a URL chooses; raises what its factory raises."""
        made = self._registry.create_events(url, self._context)
        if not self._is_local(PortName.EVENTS, url):
            made = ResilientEventSink(made, clock=self._context.clock, policy=self._policy)
        return observed(made, PortName.EVENTS, self.observer)

    def source(self, url: str) -> EventSource:
        """Make the event source that a URL chooses; raises what its factory raises.

        Patience with it is the consumer's own.
        """
        self._is_local(PortName.SOURCE, url)
        return self._registry.create_source(url, self._context)

    def embedder(self, url: str) -> Embedder:
        """Make the embedder that a URL chooses; raises what its factory raises."""
        made = self._registry.create_embedder(url, self._context)
        if not self._is_local(PortName.EMBEDDER, url):
            made = ResilientEmbedder(made, clock=self._context.clock, policy=EMBEDDER_POLICY)
        return observed(made, PortName.EMBEDDER, self.observer)

    def _is_local(self, port: PortName, url: str) -> bool:
        capabilities = self._registry.find(port, url).capabilities
        local = LOCAL in capabilities
        if self._context.secure and not local and SECURE not in capabilities:
            raise ConfigurationError(
                f"The {port} backend {urlsplit(url).scheme!r} cannot be held to encryption and "
                "credentials, which this mode requires.",
                setting=f"SFM_{port.upper()}_URL",
                remedy="Choose a backend with the capability `secure`, or another mode.",
            )
        return local
