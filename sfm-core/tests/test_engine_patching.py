"""Changing parts of a memory, and writing only what is still as it was read."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from engine_house import NS, House, at, new
from hypothesis import given
from hypothesis import strategies as st

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import (
    InvalidInputError,
    LimitExceededError,
    NotFoundError,
    PreconditionFailedError,
    VersionConflictError,
)
from sfm_core.model.memory import Episode, MemoryType
from sfm_core.model.patch import EpisodePatch, MemoryPatch, merged
from sfm_core.model.payload import JsonValue, Payload
from sfm_core.model.precondition import ANY, Precondition

HERE = at(1, 2)

LEAVES: st.SearchStrategy[JsonValue] = st.none() | st.integers(0, 2) | st.just([1, None])
INNER = st.dictionaries(st.sampled_from("ab"), LEAVES)
OBJECTS = st.dictionaries(st.sampled_from("abc"), LEAVES | INNER)


def match(*revisions: str) -> Precondition:
    return Precondition(match=frozenset(revisions))


def none_match(*revisions: str) -> Precondition:
    return Precondition(none_match=frozenset(revisions))


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_a_merge_patch_does_what_the_standard_shows(
    target: Payload, patch: Payload, result: Payload
) -> None:
    assert merged(target, patch) == result


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_twice_is_as_once_and_leaves_what_it_was_given(
    target: Payload, patch: Payload
) -> None:
    before = repr(target), repr(patch)
    once = merged(target, patch)
    assert merged(once, patch) == once
    assert (repr(target), repr(patch)) == before


async def test_what_a_patch_leaves_out_stays(house: House, engine: MemoryEngine) -> None:
    episode = Episode(name="call", order=1)
    kept = {"type": MemoryType.SEMANTIC, "importance": 0.75, "episode": episode}
    await engine.store(NS, new(HERE, "x", ttl=timedelta(hours=1), **kept))
    before = await engine.get(NS, HERE)
    await house.sweep()
    stored = await engine.update(NS, HERE, MemoryPatch(payload={"more": {"n": 1}}))
    after = await engine.get(NS, HERE)
    assert after.payload == {"text": "x", "more": {"n": 1}}
    assert (after.type, after.importance, after.episode) == (MemoryType.SEMANTIC, 0.75, episode)
    assert (after.created_at, after.expires_at) == (before.created_at, before.expires_at)
    assert (after.version, after.updated_at) == (2, house.clock.now())
    assert stored.revision == after.revision


async def test_everything_about_a_memory_can_be_changed(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(HERE, "x", episode=Episode(name="call", order=1)))
    patch = MemoryPatch(
        type=MemoryType.SEMANTIC,
        importance=1,
        ttl=timedelta(hours=1),
        episode=EpisodePatch(order=2),
    )
    await engine.update(NS, HERE, patch)
    changed = await engine.get(NS, HERE)
    assert (changed.type, changed.importance) == (MemoryType.SEMANTIC, 1.0)
    assert changed.expires_at == house.clock.now() + timedelta(hours=1)
    assert changed.episode == Episode(name="call", order=2)
    await engine.update(NS, HERE, MemoryPatch(ttl=None, episode=None))
    freed = await engine.get(NS, HERE)
    assert (freed.expires_at, freed.episode) == (None, None)
    assert (await engine.stats(NS)).semantic == 1
    assert (await engine.check()).consistent


async def test_concurrent_patches_of_one_memory_are_all_in_it(
    house: House, engine: MemoryEngine
) -> None:
    await engine.store(NS, new(HERE))
    async with house.open() as other:
        await asyncio.gather(
            *(
                one.update(NS, HERE, MemoryPatch(payload={f"{name}{n}": n}))
                for n in range(20)
                for name, one in (("a", engine), ("b", other))
            )
        )
    memory = await engine.get(NS, HERE)
    assert memory.version == 41
    assert len(memory.payload) == 41


async def test_a_patched_memory_is_recalled_by_what_it_says_now(engine: MemoryEngine) -> None:
    await engine.store(NS, new(HERE, "a whale"))
    stored = await engine.update(NS, HERE, MemoryPatch(payload={"text": "a lighthouse"}))
    assert stored.indexed
    assert (await engine.check()).consistent


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        (MemoryPatch(importance=2), "importance"),
        (MemoryPatch(ttl=timedelta(0)), "ttl_seconds"),
        (MemoryPatch(episode=EpisodePatch(order=1)), "episode"),
        (MemoryPatch(episode=EpisodePatch(name="", order=1)), "episode.name"),
        (MemoryPatch(payload={"n": float("nan")}), "payload.n"),
    ],
)
async def test_a_patch_that_is_not_acceptable_changes_nothing(
    engine: MemoryEngine, patch: MemoryPatch, field: str
) -> None:
    await engine.store(NS, new(HERE))
    with pytest.raises(InvalidInputError) as refused:
        await engine.update(NS, HERE, patch)
    assert refused.value.field == field
    assert (await engine.get(NS, HERE)).version == 1


async def test_what_comes_out_of_a_patch_must_not_be_too_large(engine: MemoryEngine) -> None:
    await engine.store(NS, new(HERE, "x" * 700_000))
    with pytest.raises(LimitExceededError):
        await engine.update(NS, HERE, MemoryPatch(payload={"more": "x" * 700_000}))


async def test_a_memory_that_is_not_there_cannot_be_patched(engine: MemoryEngine) -> None:
    with pytest.raises(NotFoundError):
        await engine.update(NS, HERE, MemoryPatch(), precondition=match(ANY))
    with pytest.raises(VersionConflictError):
        await engine.update(NS, HERE, MemoryPatch(), expected_version=1)


async def test_a_write_demands_the_revision_that_was_read(engine: MemoryEngine) -> None:
    first = await engine.store(NS, new(HERE, "one"), precondition=none_match(ANY))
    assert first.revision == (await engine.get(NS, HERE)).revision
    second = await engine.store(NS, new(HERE, "two"), precondition=match(first.revision, "x"))
    for stale in (match(first.revision), none_match(ANY), none_match("x", second.revision)):
        with pytest.raises(PreconditionFailedError):
            await engine.store(NS, new(HERE, "three"), precondition=stale)
        with pytest.raises(PreconditionFailedError):
            await engine.update(NS, HERE, MemoryPatch(), precondition=stale)
        with pytest.raises(PreconditionFailedError):
            await engine.delete(NS, HERE, precondition=stale)
    assert (await engine.get(NS, HERE)).version == 2
    assert await engine.delete(NS, HERE, precondition=match(second.revision))


async def test_what_is_not_there_has_no_revision(engine: MemoryEngine) -> None:
    with pytest.raises(PreconditionFailedError):
        await engine.store(NS, new(HERE), precondition=match(ANY))
    await engine.store(NS, new(HERE), precondition=none_match(ANY, "x"))


async def test_two_lives_of_a_memory_have_no_revision_in_common(
    house: House, engine: MemoryEngine
) -> None:
    seen: list[str] = []
    for _ in range(3):
        seen += [(await engine.store(NS, new(HERE, "the same"))).revision for _ in range(2)]
        await engine.delete(NS, HERE)
        await house.sweep()
    assert len(set(seen)) == len(seen)


async def test_only_one_of_many_who_demand_the_same_revision_writes(
    house: House, engine: MemoryEngine
) -> None:
    revision = (await engine.store(NS, new(HERE))).revision
    async with house.open() as other:
        results = await asyncio.gather(
            *(
                one.store(NS, new(HERE, str(n)), precondition=match(revision))
                for n in range(16)
                for one in (engine, other)
            ),
            return_exceptions=True,
        )
    refused = [result for result in results if isinstance(result, PreconditionFailedError)]
    assert len(refused) == 31
    assert (await engine.get(NS, HERE)).version == 2
