"""Contract of the vector port: collections and points."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from sfm_core.errors import ConfigurationError, InvalidInputError, LimitExceededError
from sfm_core.model.filters import parse_filter
from sfm_core.model.memory import MemoryType
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.vector import Collection, PointId, PointState, VectorQuery, VectorStore
from sfm_core.testing.contracts._base import read_pages
from sfm_core.testing.contracts._vector_base import (
    COMMON,
    DIMENSION,
    VectorTests,
    by_vector,
    by_words,
    ids,
    numbered,
    places,
    search,
)
from sfm_core.testing.samples import (
    HOSTILE_COORDINATES,
    HOSTILE_NAMES,
    axis,
    coordinate,
    point,
    unit_vectors,
)

_X = axis(0, DIMENSION)
_Y = axis(1, DIMENSION)
_HERE = coordinate(1.0, 2.0)
_MANY = 2500
"""More than a page or a statement of most databases takes; stores on a disk can be slow."""


class PointTests(VectorTests):
    """`ensure`, `upsert`, `delete`, `scroll`, `drop` and `collections`."""

    async def test_ensuring_again_changes_nothing(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Also when many tasks do it at once: nothing is dropped or emptied."""
        await store.upsert(collection, [point(namespace, _HERE, _X)])
        await asyncio.gather(*(store.ensure(collection) for _ in range(8)))
        assert places(by_vector(await search(store, collection, namespace, vector=_X))) == [_HERE]
        assert await store.collections() == [collection]

    async def test_tasks_that_ensure_a_new_collection_at_once_all_succeed(
        self, store: VectorStore, namespace: str
    ) -> None:
        """Whoever comes second finds it made."""
        new = Collection(name="kit-new", dimension=DIMENSION)
        await asyncio.gather(*(store.ensure(new) for _ in range(8)))
        await store.upsert(new, [point(namespace, _HERE, _X)])
        assert places(by_vector(await search(store, new, namespace, vector=_X))) == [_HERE]

    async def test_another_dimension_is_refused(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """And what is there stays as it is."""
        await store.upsert(collection, [point(namespace, _HERE, _X)])
        with pytest.raises(ConfigurationError):
            await store.ensure(replace(collection, dimension=DIMENSION + 1))
        assert places(by_vector(await search(store, collection, namespace, vector=_X))) == [_HERE]
        assert await store.collections() == [collection]

    async def test_collections_are_listed_by_name(
        self, store: VectorStore, collection: Collection
    ) -> None:
        """With their dimensions."""
        others = [Collection(name=name, dimension=size) for name, size in (("z", 8), ("a", 256))]
        for other in others:
            await store.ensure(other)
        assert await store.collections() == [others[1], collection, others[0]]

    async def test_collections_do_not_mix(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """The same memory may be a point in each, of another dimension."""
        other = Collection(name="kit-main-2", dimension=8)
        await store.ensure(other)
        await store.upsert(collection, [point(namespace, _HERE, _X, version=1, terms=COMMON)])
        await store.upsert(other, [point(namespace, _HERE, axis(0, 8), version=2, terms=COMMON)])
        for where, version in ((collection, 1), (other, 2)):
            result = await search(
                store, where, namespace, vector=axis(0, where.dimension), terms=COMMON
            )
            assert [hit.version for hit in result.hits] == [version]
        await store.delete(other, [PointId(namespace=namespace, coordinate=_HERE)])
        assert len((await search(store, collection, namespace, vector=_X)).hits) == 1

    async def test_dropping_removes_one_collection(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """With all its points: ensured anew it is empty. Others are left alone."""
        other = Collection(name="kit-main-2", dimension=DIMENSION)
        await store.ensure(other)
        for where in (collection, other):
            await store.upsert(where, [point(namespace, _HERE, _X, terms=COMMON)])
        await store.drop(collection)
        assert await store.collections() == [other]
        assert len((await search(store, other, namespace, vector=_X)).hits) == 1
        await store.ensure(collection)
        result = await search(store, collection, namespace, vector=_X, terms=COMMON)
        assert result.hits == ()
        assert await store.scroll(collection, namespace, after=None, limit=10) == []

    async def test_dropping_what_is_not_there_is_no_error(self, store: VectorStore) -> None:
        """It says how things are to be afterwards."""
        await store.drop(Collection(name="kit-none", dimension=8))

    async def test_a_collection_that_does_not_exist_is_an_error(
        self, store: VectorStore, namespace: str
    ) -> None:
        """Writing nowhere would lose index entries in silence."""
        none = Collection(name="kit-none", dimension=DIMENSION)
        with pytest.raises(ConfigurationError):
            await store.upsert(none, [point(namespace, _HERE, _X)])
        with pytest.raises(ConfigurationError):
            await store.delete(none, [PointId(namespace=namespace, coordinate=_HERE)])
        with pytest.raises(ConfigurationError):
            await store.search(none, [VectorQuery(namespace=namespace, limit=1, vector=_X)])
        with pytest.raises(ConfigurationError):
            await store.scroll(none, namespace, after=None, limit=1)

    async def test_empty_calls_do_nothing(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Every bulk method takes an empty sequence."""
        await store.upsert(collection, [])
        await store.delete(collection, [])
        assert await store.search(collection, []) == []
        assert await store.scroll(collection, namespace, after=None, limit=10) == []

    async def test_coordinate_and_version_come_back_exactly(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """No rounding: the engine looks the memory up by them."""
        points = [
            point(namespace, where, _X, version=2**53 + 1 - row)
            for row, where in enumerate(HOSTILE_COORDINATES)
        ]
        await store.upsert(collection, points)
        result = await search(store, collection, namespace, vector=_X)
        found = {hit.coordinate: hit.version for hit in result.hits}
        assert found == {one.id.coordinate: one.version for one in points}

    async def test_writing_a_memory_again_replaces_its_point(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """It is found once, at the new version, never by what it no longer says."""
        old = point(namespace, _HERE, _X, payload={"was": 1}, terms={"old": 1.0})
        new = replace(
            point(namespace, _HERE, _Y, payload={"is": 1}, terms={"new": 1.0}),
            version=2,
            type=MemoryType.SEMANTIC,
        )
        await store.upsert(collection, [old])
        await store.upsert(collection, [new])
        result = await search(store, collection, namespace, vector=_Y, terms={"new": 1.0})
        assert [(hit.coordinate, hit.version) for hit in result.hits] == [(_HERE, 2)]
        for stale in (
            await search(store, collection, namespace, terms={"old": 1.0}),
            await search(store, collection, namespace, vector=_X, type=MemoryType.EPISODIC),
            await search(store, collection, namespace, vector=_X, filter=parse_filter({"was": 1})),
        ):
            assert stale.hits == ()
        [hit] = (await search(store, collection, namespace, vector=_X)).hits
        assert hit.dense == pytest.approx(0.0, abs=0.05)

    async def test_of_several_points_for_one_memory_the_last_counts(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Inside one call as between two, and where its version is lower, as after a restore."""
        versions = [point(namespace, _HERE, _X, version=version) for version in (1, 3, 2)]
        await store.upsert(collection, versions)
        result = await search(store, collection, namespace, vector=_X)
        assert [hit.version for hit in result.hits] == [2]
        await store.upsert(collection, versions[:1])
        result = await search(store, collection, namespace, vector=_X)
        assert [hit.version for hit in result.hits] == [1]

    async def test_a_deleted_point_is_not_found(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """By neither arm and not by scrolling; twice or unknown is no error."""
        gone, left = coordinate(1.0), coordinate(2.0)
        points = [point(namespace, where, _X, terms=COMMON) for where in (gone, left)]
        await store.upsert(collection, points)
        for _ in range(2):
            await store.delete(collection, ids(points[:1]))
        result = await search(store, collection, namespace, vector=_X, terms=COMMON)
        assert places(by_vector(result)) == places(by_words(result)) == [left]
        states = await store.scroll(collection, namespace, after=None, limit=10)
        assert [state.id.coordinate for state in states] == [left]

    async def test_a_deletion_stays_in_its_namespace(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """The same coordinate elsewhere is another memory."""
        points = [point(name, _HERE, _X) for name in (namespace, namespace + "2")]
        await store.upsert(collection, points)
        await store.delete(collection, ids(points[:1]))
        assert (await search(store, collection, namespace, vector=_X)).hits == ()
        assert len((await search(store, collection, namespace + "2", vector=_X)).hits) == 1

    async def test_a_deletion_takes_no_other_point(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """However much alike their coordinates are: the beginning of another one, or a hair off."""
        points = [point(namespace, where, _X, terms=COMMON) for where in HOSTILE_COORDINATES]
        await store.upsert(collection, points)
        await store.delete(collection, ids(points[::2]))
        result = await search(store, collection, namespace, vector=_X, terms=COMMON)
        left = {one.id.coordinate for one in points[1::2]}
        assert set(places(by_vector(result))) == set(places(by_words(result))) == left

    async def test_a_deleted_point_can_be_written_again(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """And is found as the new one."""
        await store.upsert(collection, [point(namespace, _HERE, _X, terms=COMMON)])
        await store.delete(collection, [PointId(namespace=namespace, coordinate=_HERE)])
        await store.upsert(collection, [point(namespace, _HERE, _X, version=3, terms=COMMON)])
        result = await search(store, collection, namespace, vector=_X, terms=COMMON)
        assert [hit.version for hit in result.hits] == [3]

    async def test_namespaces_that_look_alike_stay_apart(
        self, store: VectorStore, collection: Collection
    ) -> None:
        """No tenant finds another's memory, by neither arm."""
        await store.upsert(
            collection,
            [
                point(name, _HERE, _X, version=version, terms=COMMON)
                for version, name in enumerate(HOSTILE_NAMES, start=1)
            ],
        )
        for version, name in enumerate(HOSTILE_NAMES, start=1):
            result = await search(store, collection, name, vector=_X, terms=COMMON)
            assert [(hit.coordinate, hit.version) for hit in result.hits] == [(_HERE, version)]

    async def test_scrolling_lists_points_in_key_order_page_by_page(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Each once, with its version, and none of another namespace."""
        versions = {where: row for row, where in enumerate(HOSTILE_COORDINATES, start=1)}
        for name in (namespace, namespace + "2"):
            await store.upsert(
                collection,
                [point(name, where, _X, version=version) for where, version in versions.items()],
            )

        async def page_after(last: PointState | None) -> list[PointState]:
            after = last.id.coordinate if last else None
            return await store.scroll(collection, namespace, after=after, limit=4)

        found = await read_pages(page_after)
        assert [(state.id.coordinate, state.version) for state in found] == sorted(
            versions.items(), key=lambda item: item[0].key
        )
        assert {state.id.namespace for state in found} == {namespace}

    async def test_scrolling_goes_on_after_a_point_that_is_gone(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """So what was listed may be deleted meanwhile."""
        points = numbered(namespace, unit_vectors(6, DIMENSION))
        await store.upsert(collection, points)
        page = await store.scroll(collection, namespace, after=None, limit=3)
        await store.delete(collection, [state.id for state in page])
        rest = await store.scroll(collection, namespace, after=page[-1].id.coordinate, limit=10)
        assert [state.id for state in rest] == ids(points[3:])

    @pytest.mark.parametrize("dimension", [1, DIMENSION - 1, DIMENSION + 1, 2 * DIMENSION])
    async def test_a_vector_of_another_length_is_refused(
        self, store: VectorStore, collection: Collection, namespace: str, dimension: int
    ) -> None:
        """Be it a point's or a query's, also among others; and no point is written."""
        good, bad = point(namespace, _HERE, _X), axis(0, dimension)
        with pytest.raises(InvalidInputError):
            await store.upsert(collection, [good, point(namespace, coordinate(9.0), bad)])
        assert await store.scroll(collection, namespace, after=None, limit=9) == []
        await store.upsert(collection, [good])
        queries = [VectorQuery(namespace=namespace, limit=1, vector=one) for one in (_X, bad)]
        with pytest.raises(InvalidInputError):
            await store.search(collection, queries)

    async def test_large_calls_are_done_as_a_whole(
        self, store: VectorStore, namespace: str
    ) -> None:
        """Nothing in between takes less at once, or cuts an answer."""
        large = Collection(name="kit-large", dimension=2)
        await store.ensure(large)
        where = [coordinate(float(number)) for number in range(MAX_BATCH)]
        points = [point(namespace, one, axis(0, 2), terms=COMMON) for one in where[:_MANY]]
        await store.upsert(large, points)
        found = await search(store, large, namespace, terms=COMMON, limit=MAX_BATCH)
        assert set(places(found.hits)) == set(where[:_MANY])
        await store.delete(large, [PointId(namespace=namespace, coordinate=one) for one in where])
        assert await store.scroll(large, namespace, after=None, limit=1) == []

    async def test_too_large_calls_are_refused(
        self, store: VectorStore, collection: Collection, namespace: str
    ) -> None:
        """Nothing of them happens."""
        one = point(namespace, _HERE, _X)
        with pytest.raises(LimitExceededError):
            await store.upsert(collection, [one] * (MAX_BATCH + 1))
        with pytest.raises(LimitExceededError):
            await store.delete(collection, [one.id] * (MAX_BATCH + 1))
        query = VectorQuery(namespace=namespace, limit=1, vector=_X)
        with pytest.raises(LimitExceededError):
            await store.search(collection, [query] * (MAX_BATCH + 1))
        assert await store.scroll(collection, namespace, after=None, limit=10) == []

    async def test_another_instance_sees_a_write_at_once(
        self, make: Callable[[], VectorStore], collection: Collection, namespace: str
    ) -> None:
        """Also one that has searched before, and so has an index in its memory."""
        async with make() as one, make() as other:
            await one.ensure(collection)
            first, second = (point(namespace, coordinate(n), _X, terms=COMMON) for n in (1.0, 2.0))
            for points in ([first], [second]):
                await one.upsert(collection, points)
                found = await search(other, collection, namespace, vector=_X, terms=COMMON)
                assert points[0].id.coordinate in places(found.hits)
            await one.delete(collection, [first.id])
            found = await search(other, collection, namespace, vector=_X, terms=COMMON)
            assert places(found.hits) == [second.id.coordinate]

    async def test_opening_again_finds_the_points_or_no_collection(
        self, make: Callable[[], VectorStore], collection: Collection, namespace: str
    ) -> None:
        """A store that forgets says so, and the engine fills it anew."""
        async with make() as store:
            await store.ensure(collection)
            await store.upsert(collection, [point(namespace, _HERE, _X, terms=COMMON)])
        async with make() as store:
            assert await store.collections() == ([collection] if self.persistent else [])
            await store.ensure(collection)
            result = await search(store, collection, namespace, vector=_X, terms=COMMON)
            assert places(result.hits) == ([_HERE] if self.persistent else [])

    async def test_what_was_removed_is_gone_after_opening_again(
        self, make: Callable[[], VectorStore], collection: Collection, namespace: str
    ) -> None:
        """Neither a deleted point comes back, nor a replaced one, nor a dropped collection."""
        dropped = replace(collection, name="kit-main-2")
        gone, kept = (point(namespace, coordinate(n), _X, terms=COMMON) for n in (1.0, 2.0))
        async with make() as store:
            for where in (collection, dropped):
                await store.ensure(where)
                await store.upsert(where, [gone, kept])
            await store.delete(collection, [gone.id])
            await store.upsert(collection, [replace(kept, version=2)])
            await store.drop(dropped)
        async with make() as store:
            assert dropped not in await store.collections()
            for where in (collection, dropped):
                await store.ensure(where)
            assert await store.scroll(dropped, namespace, after=None, limit=9) == []
            states = await store.scroll(collection, namespace, after=None, limit=9)
            assert states == ([PointState(id=kept.id, version=2)] if self.persistent else [])
