"""What is particular to this store: what it keeps, what it narrows down, and what it refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import example, given
from hypothesis import strategies as st
from qdrant_client import models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_helpers import COLLECTION, LocalVectorStore, open_local

from sfm_backend_qdrant._client import ClientQdrant, struct
from sfm_backend_qdrant._collections import INDEXES, SCAN_KILOBYTES, shape
from sfm_backend_qdrant._encoding import order_words, stored_point
from sfm_backend_qdrant._filters import enclose, scope
from sfm_backend_qdrant._parting import PART_BYTES, PART_POINTS, parts
from sfm_backend_qdrant._searching import Question
from sfm_backend_qdrant._server import ServerConnection, at_least
from sfm_backend_qdrant._statements import TEXT_PREFIX_BYTES, text_numbers, token
from sfm_backend_qdrant._terms import term_index
from sfm_backend_qdrant._urls import parse_url
from sfm_backend_qdrant.settings import QdrantSettings
from sfm_backend_qdrant.vector import QdrantVectorStore
from sfm_core.errors import ConfigurationError, InvalidFilterError, InvalidInputError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import parse_filter
from sfm_core.model.memory import MemoryType
from sfm_core.protocols.vector import Collection, Point, VectorQuery
from sfm_core.testing.filter_cases import FILTER_CASES, FilterCase
from sfm_core.testing.samples import HOSTILE_COORDINATES, axis, coordinate, point, unit_vectors

X = axis(0, COLLECTION.dimension)


@pytest_asyncio.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalVectorStore]:
    async with open_local(tmp_path, url="qdrant+local:") as store:
        await store.ensure(COLLECTION)
        yield store


async def found(store: QdrantVectorStore, source: object, *, limit: int = 50) -> set[Coordinate]:
    query = VectorQuery(
        namespace="n",
        limit=limit,
        vector=X,
        terms={"said": 1.0},
        filter=parse_filter(source),
    )
    [result] = await store.search(COLLECTION, [query])
    return {hit.coordinate for hit in result.hits}


async def write_texts(store: QdrantVectorStore, texts: list[str]) -> None:
    vectors = unit_vectors(len(texts), COLLECTION.dimension)
    points = [
        point("n", coordinate(float(row)), vectors[row], payload={"t": text}, terms={"said": 1.0})
        for row, text in enumerate(texts)
    ]
    await store.upsert(COLLECTION, points)


async def test_a_substring_is_found_however_far_down_it_is(store: QdrantVectorStore) -> None:
    await write_texts(store, [f"number {row}." for row in range(300)])
    assert await found(store, {"t": {"$contains": " 250."}}, limit=1) == {coordinate(250.0)}


async def test_looking_at_too_many_points_is_refused_and_not_cut_short(tmp_path: Path) -> None:
    async with open_local(tmp_path, url="qdrant+local:", scan_limit=100) as store:
        await store.ensure(COLLECTION)
        await write_texts(store, [f"number {row}." for row in range(300)])
        with pytest.raises(InvalidFilterError, match="scan_limit"):
            await found(store, {"t": {"$contains": " 250."}}, limit=2)


async def test_texts_that_differ_far_back_are_told_apart(store: QdrantVectorStore) -> None:
    head = "2026-01-02T03:04:05.678901+00:00 and "
    await write_texts(store, [head + tail for tail in ("a", "b", "c")])
    assert await found(store, {"t": {"$gt": head + "b"}}) == {coordinate(2.0)}
    assert await found(store, {"t": {"$gte": head + "b"}}) == {coordinate(1.0), coordinate(2.0)}
    assert await found(store, {"t": {"$not": {"$gt": head + "b"}}}) == {
        coordinate(0.0),
        coordinate(1.0),
    }


async def test_whole_numbers_beyond_the_floats_are_told_apart(store: QdrantVectorStore) -> None:
    numbers = (2**53, 2**53 + 1, 2**64 - 1)
    await store.upsert(
        COLLECTION,
        [
            point("n", coordinate(float(row)), X, payload={"n": number})
            for row, number in enumerate(numbers)
        ],
    )
    assert await found(store, {"n": {"$gt": 2**53}}) == {coordinate(1.0), coordinate(2.0)}
    assert await found(store, {"n": {"$lt": 2**53 + 1}}) == {coordinate(0.0)}
    assert await found(store, {"n": 2**64 - 1}) == {coordinate(2.0)}


async def test_terms_are_as_rare_as_they_are_in_the_namespace(store: QdrantVectorStore) -> None:
    """What other namespaces hold changes no order."""
    for row in range(20):
        here = {"often": 1.0} if row else {"seldom": 1.0}
        there = {"seldom": 1.0}
        await store.upsert(
            COLLECTION,
            [
                point("n", coordinate(float(row)), X, terms=here),
                point("other", coordinate(float(row)), X, terms=there),
            ],
        )
    for vector in (None, X):
        query = VectorQuery(
            namespace="n", limit=30, vector=vector, terms={"often": 1.0, "seldom": 1.0}
        )
        [result] = await store.search(COLLECTION, [query])
        best = max(result.hits, key=lambda hit: hit.keyword or 0.0)
        assert best.coordinate == coordinate(0.0)


@pytest.mark.parametrize(
    ("version", "expected"),
    [("1.19.0", True), ("1.20.3-dev", True), ("2.0", True), ("1.18.9", False), ("", False)],
)
def test_versions_of_servers_are_compared_by_number(version: str, expected: bool) -> None:  # noqa: FBT001 - a case
    assert at_least(version, (1, 19)) is expected


async def test_a_collection_that_is_not_ours_is_neither_used_nor_listed(
    store: LocalVectorStore,
) -> None:
    await store.make_foreign("other")
    assert await store.collections() == [COLLECTION]
    with pytest.raises(ConfigurationError, match="no vectors of ours"):
        await store.ensure(Collection(name="other", dimension=4))


async def test_a_vector_of_another_length_is_refused(store: QdrantVectorStore) -> None:
    with pytest.raises(InvalidInputError, match="shape"):
        await store.upsert(COLLECTION, [point("n", coordinate(1.0), axis(0, 3))])


async def test_many_points_with_the_same_beginning_are_listed_in_order(
    store: QdrantVectorStore,
) -> None:
    places = [coordinate(1.0, 2.0, 3.0, float(n)) for n in range(7)]
    places += [coordinate(1.0, float(n)) for n in range(7)] + [coordinate(float(n)) for n in (2, 1)]
    await store.upsert(COLLECTION, [point("n", where, X) for where in places])
    listed: list[Coordinate] = []
    after: Coordinate | None = None
    while page := await store.scroll(COLLECTION, "n", after=after, limit=3):
        listed += [state.id.coordinate for state in page]
        after = listed[-1]
    assert listed == sorted(places, key=lambda where: where.key)


@given(st.text(max_size=30), st.text(max_size=30))
@example("a", "a\0")
@example("a" * TEXT_PREFIX_BYTES, "a" * TEXT_PREFIX_BYTES + "\0")
def test_numbers_of_texts_sort_as_the_texts_do(one: str, other: str) -> None:
    short = min(len(one.encode()), len(other.encode())) <= TEXT_PREFIX_BYTES
    if short or text_numbers(one)[:-1] != text_numbers(other)[:-1]:
        assert (text_numbers(one) < text_numbers(other)) == (one < other)


def test_order_numbers_sort_as_the_keys_do_and_fit_floats() -> None:
    places = sorted(HOSTILE_COORDINATES, key=lambda where: where.key)
    words = [order_words(where) for where in places]
    assert words == sorted(words)
    assert all(0 <= word <= 2**53 for each in words for word in each)


def test_what_is_stored_stays_readable_for_later_versions() -> None:
    """Hashes are in the collections of users: they may not change."""
    assert term_index("caf\u00e9") == 755221974
    assert token("=", "a.b", {"x": [1.0, None, "y"], "a": True}) == 8365652924036498351
    assert token("=", "a.b", {"a": True, "x": [1, None, "y"]}) == 8365652924036498351


def whole_point() -> Point:
    return Point(
        id=point("n", coordinate(1.0, -2.0), X).id,
        version=2**53 + 1,
        type=MemoryType.SEMANTIC,
        payload={"n": [1, 2.5, 2**64 - 1], "t": {"deep": ["\0", None, True]}},
        vector=X,
        terms={"a": 0.5, "b": 2.0},
    )


def test_points_are_parted_so_that_a_server_takes_each_part() -> None:
    small, large = (
        stored_point(point("n", coordinate(1.0), X, payload={"t": "x" * length}))
        for length in (10, PART_BYTES // 5)
    )
    assert [len(part) for part in parts([small] * 2 * PART_POINTS)] == [PART_POINTS] * 2
    assert [len(part) for part in parts([large] * 5 + [small])] == [2, 2, 2]
    huge = stored_point(point("n", coordinate(1.0), X, payload={"t": "x" * PART_BYTES}))
    assert [len(part) for part in parts([small, huge, small])] == [1, 1, 1]


def settings_of(query: str) -> QdrantSettings:
    return parse_url(f"qdrant://db{query}", Path("/data"), {})


def test_a_collection_leaves_to_the_server_what_the_url_does_not_say() -> None:
    made = shape(3, settings_of(""))
    assert made.vectors == {
        "dense": models.VectorParams(
            size=3,
            distance=models.Distance.DOT,
            hnsw_config=models.HnswConfigDiff(full_scan_threshold=SCAN_KILOBYTES),
        )
    }
    assert (made.shard_number, made.replication_factor, made.write_consistency_factor) == (
        None,
        None,
        None,
    )


def test_a_collection_is_divided_and_kept_several_times_as_the_url_says() -> None:
    made = shape(3, settings_of("?shards=6&replicas=3"))
    assert (made.shard_number, made.replication_factor, made.write_consistency_factor) == (6, 3, 2)


def test_a_quantized_collection_keeps_bytes_in_memory_and_the_vectors_on_disk() -> None:
    vectors = shape(3, settings_of("?quantization=scalar")).vectors
    assert isinstance(vectors, dict)
    dense = vectors["dense"]
    scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, always_ram=True)
    assert dense.on_disk
    assert dense.quantization_config == models.ScalarQuantization(scalar=scalar)
    sent = GrpcToRest.convert_vector_params(RestToGrpc.convert_vector_params(dense))
    assert sent == dense


def test_a_search_of_quantized_vectors_scores_with_the_vectors_themselves() -> None:
    query = VectorQuery(namespace="n", limit=3, vector=X, terms={})
    ask = Question.of(query).ask()
    plain, quantized = (
        ClientQdrant(ServerConnection(settings_of(text))).requests(ask)[0].params
        for text in ("", "?quantization=scalar")
    )
    assert plain is not None
    assert quantized is not None
    assert plain.quantization is None
    assert quantized.quantization == models.QuantizationSearchParams(rescore=True, oversampling=2.0)
    assert quantized.hnsw_ef == plain.hnsw_ef


def test_what_is_kept_of_a_memory_comes_through_grpc_unchanged() -> None:
    stored = struct(stored_point(whole_point()))
    sent = GrpcToRest.convert_point_struct(RestToGrpc.convert_point_struct(stored))
    assert sent.payload == stored.payload


def test_every_index_comes_through_grpc_unchanged() -> None:
    for schema in INDEXES.values():
        sent = RestToGrpc.convert_payload_schema_params(schema)
        assert GrpcToRest.convert_payload_schema_params(sent) == schema


def test_a_search_comes_through_grpc_unchanged() -> None:
    connection = ServerConnection(parse_url("qdrant://db", Path("/data"), {}))
    connection.counts_by_namespace = True
    qdrant = ClientQdrant(connection)
    query = VectorQuery(
        namespace="n",
        limit=3,
        vector=X,
        terms={"said": 1.0},
        filter=parse_filter({"t": {"$gt": "b"}, "n": {"$in": [1, 2]}}),
    )
    requests = qdrant.requests(Question.of(query).ask())
    assert len(requests) == 2
    for request in requests:
        RestToGrpc.convert_query_request(request, "tests")
        for chosen in request.prefetch if isinstance(request.prefetch, list) else []:
            sent = GrpcToRest.convert_prefetch_query(RestToGrpc.convert_prefetch_query(chosen))
            assert (sent.query, sent.using, sent.limit) == (
                chosen.query,
                chosen.using,
                chosen.limit,
            )
            assert sent.params is not None
            assert chosen.params is not None
            assert sent.params.acorn == chosen.params.acorn
            assert (sent.params.idf is None) == (chosen.params.idf is None)


@pytest.mark.parametrize("case", FILTER_CASES, ids=lambda case: str(case.source))
def test_every_condition_names_indexed_fields_only_and_can_be_sent_over_grpc(
    case: FilterCase,
) -> None:
    condition = parse_filter(case.source)
    assert condition is not None
    within = enclose(condition)
    for each in (within.certain, within.possible):
        sent = scope("n", type=MemoryType.EPISODIC, possible=each)
        RestToGrpc.convert_filter(sent)
        assert set(fields(sent)) <= INDEXES.keys()


def fields(condition: object, inside: str = "") -> Iterator[str]:
    """Return the fields that a condition names."""
    match condition:
        case models.FieldCondition(key=key):
            yield inside + key
        case models.NestedCondition(nested=nested):
            yield from fields(nested.filter, f"{nested.key}[].")
        case models.Filter():
            for group in (condition.must, condition.should, condition.must_not):
                for each in group if isinstance(group, list) else []:
                    yield from fields(each, inside)
        case _:
            raise AssertionError(condition)
