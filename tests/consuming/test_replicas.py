"""A replica is exact in every store that can be a truth."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

import pytest
from replica_house import change_something, held

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.consuming.consumer import Consumer
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.engine.opening import BackendMaker
from sfm_core.handling import HandlerContext
from sfm_core.plugins import Plugins, load_plugins
from sfm_core.registry import BackendContext
from sfm_core.resilience import Policy
from sfm_core.settings import EngineSettings, Slots
from tests.fix_modes import Stores

TRUTH = Slots(
    kv="memory:",
    vector="memory:",
    graph="memory:",
    cache="memory:",
    embedder="hashing:",
    events="memory:",
)
SETTINGS = EngineSettings(history_limit=3)
PATIENCE_SECONDS = 120


@pytest.fixture(scope="module")
def plugins() -> Plugins:
    return load_plugins()


@pytest.fixture(params=["sqlite", "redis", "postgresql"])
def options(request: pytest.FixtureRequest, stores: Stores) -> Mapping[str, str]:
    """The variables of a store that is empty, and its scheme."""
    match str(request.param):
        case "redis":
            return {"scheme": "redis", **stores.redis()}
        case "postgresql":
            return {"scheme": "postgresql", **stores.postgres()}
        case scheme:
            return {"scheme": scheme}


@asynccontextmanager
async def replicating(
    plugins: Plugins, url: str, published: BackendContext, copy: BackendContext
) -> AsyncGenerator[Consumer]:
    """Run a consumer that reads one context's events and fills a store of another one."""

    def refused() -> AsyncGenerator[MemoryEngine]:
        raise AssertionError

    source = BackendMaker(plugins.registry, published, Policy())
    context = HandlerContext(
        backends=copy,
        registry=plugins.registry,
        settings=SETTINGS,
        open_memory=asynccontextmanager(refused),
    )
    address = f"replica:{url}"
    offered = plugins.handlers.find(address)
    consumer = Consumer(
        lambda: source.source("memory:"),
        {"replica": lambda: offered.factory(address, context)},
        clock=published.clock,
        batch=17,
    )
    task = asyncio.create_task(consumer.run())
    try:
        yield consumer
        consumer.stop()
        await task
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_a_replica_becomes_equal_to_its_truth(
    plugins: Plugins, options: Mapping[str, str], tmp_path: Path
) -> None:
    random = Random(5)
    url = f"{options['scheme']}:"
    here = BackendContext(data_folder=tmp_path / "here")
    there = BackendContext(data_folder=tmp_path, options=options)
    async with (
        open_engine(
            slots=TRUTH, registry=plugins.registry, context=here, settings=SETTINGS
        ) as engine,
        replicating(plugins, url, here, there),
    ):
        for _ in range(150):
            await change_something(engine, random)
        maker = BackendMaker(plugins.registry, there, Policy())
        async with (
            plugins.registry.create_kv("memory:", here) as truth,
            maker.kv(url) as replica,
            asyncio.timeout(PATIENCE_SECONDS),
        ):
            while await held(replica) != await held(truth):  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.1)
