"""Writes happen once for a key in every store that can be a truth, whichever engine is asked."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

import pytest
import pytest_asyncio

from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import IdempotencyKeyReusedError, PreconditionFailedError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.memory import NewMemory
from sfm_core.model.patch import MemoryPatch
from sfm_core.model.precondition import Precondition
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_core.settings import Slots
from tests.fix_modes import Stores

SPACE = "once"
ENGINES = 4
CALLS = 64
HERE = Coordinate((1.0,))
KEY = IdempotencyKey("one")


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


@pytest_asyncio.fixture
async def engines(options: Mapping[str, str], tmp_path: Path) -> AsyncGenerator[list[MemoryEngine]]:
    """Several engines on one truth, as if each were a process."""
    registry = load_plugins().registry
    # Vectors and graph are each engine's own: what is asked here, the truth answers.
    slots = Slots(
        kv=f"{options['scheme']}:",
        vector="memory:",
        graph="memory:",
        cache="memory:",
        embedder="hashing:",
    )
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                open_engine(
                    slots=slots,
                    registry=registry,
                    context=BackendContext(data_folder=tmp_path, options=options),
                )
            )
            for _ in range(ENGINES)
        ]


async def told(engine: MemoryEngine) -> int:
    async with aclosing(engine.follow_events(SPACE, after="start", limit=1000)) as pages:
        return len((await anext(pages)).events)


async def test_concurrent_writes_with_one_key_are_one_memory_and_one_event(
    engines: list[MemoryEngine],
) -> None:
    stored = await asyncio.gather(
        *(
            engines[call % ENGINES].remember(SPACE, {"text": "a whale"}, idempotency_key=KEY)
            for call in range(CALLS)
        )
    )
    assert len({(one.coordinate, one.version, one.revision) for one in stored}) == 1
    assert len(await engines[0].list_memories(SPACE)) == 1
    assert await told(engines[0]) == 1
    with pytest.raises(IdempotencyKeyReusedError):
        await engines[1].remember(SPACE, {"text": "a shark"}, idempotency_key=KEY)


async def test_concurrent_bulk_writes_with_one_key_write_each_item_once(
    engines: list[MemoryEngine],
) -> None:
    memories = [NewMemory(coordinate=Coordinate.of((n,)), payload={"n": n}) for n in range(50)]
    results = await asyncio.gather(
        *(engine.store_many(SPACE, memories, idempotency_key=KEY) for engine in engines * 4)
    )
    assert {getattr(one, "version", one) for result in results for one in result} == {1}
    assert await told(engines[0]) == len(memories)
    removed = await asyncio.gather(
        *(
            engine.delete_many(
                SPACE, [one.coordinate for one in memories], idempotency_key=IdempotencyKey("two")
            )
            for engine in engines * 4
        )
    )
    assert {one.count for one in removed} == {len(memories)}
    assert await told(engines[0]) == 2 * len(memories)


async def test_patches_and_conditions_hold_between_engines(engines: list[MemoryEngine]) -> None:
    first = await engines[0].store(SPACE, NewMemory(coordinate=HERE, payload={}))
    await asyncio.gather(
        *(
            engines[call % ENGINES].update(SPACE, HERE, MemoryPatch(payload={f"n{call}": call}))
            for call in range(CALLS)
        )
    )
    memory = await engines[1].get(SPACE, HERE)
    assert (memory.version, len(memory.payload)) == (CALLS + 1, CALLS)
    for precondition, works in ((first.revision, False), (memory.revision, True)):
        match = Precondition(match=frozenset({precondition}))
        results = await asyncio.gather(
            *(engine.delete(SPACE, HERE, precondition=match) for engine in engines),
            return_exceptions=True,
        )
        refused = [one for one in results if isinstance(one, PreconditionFailedError)]
        # After the deletion nothing is there, and to delete that is no failure.
        assert len(refused) == (0 if works else ENGINES)
        assert sum(bool(one) for one in results if one not in refused) == works
