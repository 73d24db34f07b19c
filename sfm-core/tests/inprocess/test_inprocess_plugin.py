from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from sfm_core.errors import ConfigurationError
from sfm_core.inprocess import InProcessEventSink, plugin
from sfm_core.plugins import load_plugins
from sfm_core.protocols.cache import Cached
from sfm_core.protocols.kv import Commit, Entry, Write
from sfm_core.registry import BackendContext, PortName, Registry

TTL = timedelta(seconds=60)


@pytest.fixture
def registry() -> Registry:
    return load_plugins(group="sfm.none", extra={"inprocess": plugin}).registry


@pytest.fixture
def context(tmp_path: Path) -> BackendContext:
    return BackendContext(data_folder=tmp_path)


def test_every_port_has_one(registry: Registry) -> None:
    assert {registration.port for registration in registry} == set(PortName)


@pytest.mark.parametrize(
    ("other", "expected"),
    [("memory:", Entry(b"v", 1)), ("memory:other", None), ("memory://", Entry(b"v", 1))],
)
async def test_the_same_url_in_one_context_is_the_same_data(
    registry: Registry, context: BackendContext, other: str, expected: Entry | None
) -> None:
    async with registry.create_kv("memory:", context) as store:
        commit = Commit(namespace="n", writes=(Write(b"k", b"v"),))
        await store.commit([commit], owner="o", lease=TTL)
    async with registry.create_kv(other, context) as store:
        assert await store.get_many("n", [b"k"]) == [expected]


async def test_another_context_has_its_own_data(
    registry: Registry, context: BackendContext, tmp_path: Path
) -> None:
    stranger = BackendContext(data_folder=tmp_path)
    async with registry.create_cache("memory:", context) as one:
        await one.increment("c", 1, ttl=TTL)
    async with registry.create_cache("memory:", stranger) as other:
        assert await other.increment("c", 1, ttl=TTL) == 1


async def test_the_size_of_the_cache_is_an_option_of_its_url(
    registry: Registry, context: BackendContext
) -> None:
    async with registry.create_cache("memory:?max_bytes=500", context) as cache:
        await cache.set_if_newer("n", {b"a": Cached(1, b""), b"b": Cached(1, b"")}, ttl=TTL)
        assert await cache.get_many("n", [b"a", b"b"]) == [None, Cached(1, b"")]


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("memory:?max_bytes=many", "max_bytes"),
        ("memory:?max_bytes=-1", "max_bytes"),
        ("memory:?max_byte=1", "max_byte"),
    ],
)
def test_an_option_that_cannot_work_is_named(
    registry: Registry, context: BackendContext, url: str, named: str
) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        registry.create_cache(url, context)
    assert caught.value.setting == "SFM_CACHE_URL"


def test_an_option_of_another_port_is_refused(registry: Registry, context: BackendContext) -> None:
    with pytest.raises(ConfigurationError, match="max_bytes"):
        registry.create_vector("memory:?max_bytes=1", context)


async def test_the_embedder_and_the_sink_can_be_made(
    registry: Registry, context: BackendContext
) -> None:
    async with (
        registry.create_embedder("hashing:", context) as embedder,
        registry.create_events("memory:", context) as sink,
        registry.create_graph("memory:", context) as graph,
    ):
        assert (await embedder.embed(["text"])).shape == (1, embedder.fingerprint.dimension)
        assert isinstance(sink, InProcessEventSink)
        assert await graph.scroll("n", after=None, limit=1) == []
