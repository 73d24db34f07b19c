"""Bad input is refused with the name of the field, and nothing is stored."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from engine_house import NS, House, ask, at, new

from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.errors import InvalidInputError, LimitExceededError
from sfm_core.model.memory import Episode, NewMemory
from sfm_core.model.patch import MemoryPatch
from sfm_core.model.payload import JsonValue

A, B = at(1), at(2)
BAD_NAMES = ("", "\0", "a\nb", "\x7f", "x" * 129, "é" * 65, "\ud800")
NAN, INF = float("nan"), float("inf")

Call = Callable[[MemoryEngine], Awaitable[object]]


def nested(depth: int) -> JsonValue:
    value: JsonValue = 1
    for _ in range(depth):
        value = [value]
    return value


NAMED: dict[str, Callable[[MemoryEngine, str], Awaitable[object]]] = {
    "store": lambda e, n: e.store(n, new(A)),
    "store_many": lambda e, n: e.store_many(n, [new(A)]),
    "remember": lambda e, n: e.remember(n, {}),
    "get": lambda e, n: e.get(n, A),
    "get_many": lambda e, n: e.get_many(n, [A]),
    "access": lambda e, n: e.access(n, A),
    "history": lambda e, n: e.history(n, A),
    "delete": lambda e, n: e.delete(n, A),
    "delete_many": lambda e, n: e.delete_many(n, [A]),
    "set_importance": lambda e, n: e.set_importance(n, A, 0.5),
    "recall": lambda e, n: e.recall(n, ask("x")),
    "recall_many": lambda e, n: e.recall_many(n, []),
    "update": lambda e, n: e.update(n, A, MemoryPatch()),
    "list_memories": lambda e, n: e.list_memories(n),
    "range": lambda e, n: e.range(n, A, B),
    "link": lambda e, n: e.link(n, A, B),
    "unlink": lambda e, n: e.unlink(n, A, B),
    "neighbors": lambda e, n: e.neighbors(n, A),
    "shortest_path": lambda e, n: e.shortest_path(n, A, B),
    "stats": lambda e, n: e.stats(n),
}


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
@pytest.mark.parametrize("operation", NAMED)
async def test_every_operation_refuses_what_is_no_namespace(
    engine: MemoryEngine, operation: str, name: str
) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        await NAMED[operation](engine, name)
    assert refusal.value.field == "namespace"
    assert refusal.value.remedy


def memory(**changes: object) -> NewMemory:
    return replace(new(A), **changes)  # type: ignore[arg-type]


REFUSED: tuple[tuple[str, Call], ...] = (
    ("payload", lambda e: e.store(NS, memory(payload=["no object"]))),
    ("payload", lambda e: e.store(NS, memory(payload=None))),
    ("payload.a", lambda e: e.store(NS, memory(payload={"a": NAN}))),
    ("payload.a[1]", lambda e: e.store(NS, memory(payload={"a": [1, -INF]}))),
    ("payload.a", lambda e: e.store(NS, memory(payload={"a": object()}))),
    ("payload.a", lambda e: e.store(NS, memory(payload={"a": "\udc00"}))),
    ("payload.n", lambda e: e.store(NS, memory(payload={"n": 10**400}))),
    ("payload", lambda e: e.store(NS, memory(payload={1: "a"}))),
    ("payload", lambda e: e.store(NS, memory(payload={"a": "x" * 1_048_577}))),
    ("payload.a" + "[0]" * 31, lambda e: e.store(NS, memory(payload={"a": nested(40)}))),
    ("importance", lambda e: e.store(NS, memory(importance=1.01))),
    ("importance", lambda e: e.store(NS, memory(importance=NAN))),
    ("importance", lambda e: e.set_importance(NS, A, -0.1)),
    ("importance", lambda e: e.set_importance(NS, A, NAN)),
    ("ttl_seconds", lambda e: e.store(NS, memory(ttl=timedelta(0)))),
    ("ttl_seconds", lambda e: e.store(NS, memory(ttl=timedelta(seconds=-1)))),
    ("ttl_seconds", lambda e: e.store(NS, memory(ttl=timedelta.max))),
    ("ttl_seconds", lambda e: e.remember(NS, {}, ttl=timedelta(0))),
    ("episode.name", lambda e: e.store(NS, memory(episode=Episode(name="a\0b", order=1)))),
    ("episode.order", lambda e: e.store(NS, memory(episode=Episode(name="a", order=NAN)))),
    ("expected_version", lambda e: e.store(NS, memory(expected_version=-1))),
    ("expected_version", lambda e: e.delete(NS, A, expected_version=-1)),
    ("type", lambda e: e.link(NS, A, B, type="")),
    ("type", lambda e: e.link(NS, A, B, type="a\0b")),
    ("type", lambda e: e.unlink(NS, A, B, type="x" * 200)),
    ("link_type", lambda e: e.neighbors(NS, A, link_type="a\0b")),
    ("link_type", lambda e: e.shortest_path(NS, A, B, link_type="")),
    ("weight", lambda e: e.link(NS, A, B, weight=-0.5)),
    ("weight", lambda e: e.link(NS, A, B, weight=NAN)),
    ("weight", lambda e: e.link(NS, A, B, weight=INF)),
    ("weight", lambda e: e.link(NS, A, B, weight=1.7e308)),
    ("limit", lambda e: e.history(NS, A, limit=0)),
    ("limit", lambda e: e.neighbors(NS, A, limit=0)),
    ("limit", lambda e: e.range(NS, A, B, limit=-1)),
)


@pytest.mark.parametrize(("field", "call"), REFUSED)
async def test_a_value_that_is_not_acceptable_is_named_and_changes_nothing(
    house: House, engine: MemoryEngine, field: str, call: Call
) -> None:
    await engine.store_many(NS, [new(A), new(B)])
    before = [line async for line in engine.export()]
    with pytest.raises(InvalidInputError) as refusal:
        await call(engine)
    assert refusal.value.field == field
    assert refusal.value.remedy
    assert [line async for line in engine.export()] == before
    await house.nothing_waits()


TOO_MUCH: tuple[tuple[str, Call], ...] = (
    ("items", lambda e: e.store_many(NS, [new(A)] * 1001)),
    ("coords", lambda e: e.get_many(NS, [A] * 1001)),
    ("coords", lambda e: e.delete_many(NS, [A] * 1001)),
    ("queries", lambda e: e.recall_many(NS, [ask("x")] * 1001)),
    ("top_k", lambda e: e.recall(NS, ask("x", 1001))),
    ("limit", lambda e: e.neighbors(NS, A, limit=1001)),
    ("limit", lambda e: e.range(NS, A, B, limit=1001)),
    ("limit", lambda e: e.history(NS, A, limit=1001)),
)


@pytest.mark.parametrize(("field", "call"), TOO_MUCH)
async def test_too_much_at_once_is_refused(engine: MemoryEngine, field: str, call: Call) -> None:
    with pytest.raises(LimitExceededError) as refusal:
        await call(engine)
    assert refusal.value.field == field
    assert (await engine.stats(NS)).total_memories == 0


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"": ""},
        {"a\0b": "\0"},
        {"n": 2**63 - 1},
        {"n": -(2**63)},
        {"u": "\u2028\ufeff\U0001f9e0é"},
        {"deep": nested(31)},
        {"text": "x" * 1_000_000},
        {"vector": [0.1] * 20_000},
        {"$odd": {"a.b": None}},
    ],
    ids=lambda payload: str(payload)[:20].encode("ascii", "replace").decode(),
)
async def test_odd_payloads_come_back_as_they_were(
    house: House, engine: MemoryEngine, payload: dict[str, JsonValue]
) -> None:
    await engine.store(NS, NewMemory(coordinate=A, payload=payload))
    assert (await engine.get(NS, A)).payload == payload
    await house.nothing_waits()
    assert (await engine.check()).consistent


async def test_the_longest_keys_fit(house: House, engine: MemoryEngine) -> None:
    far = [at(*(float(n) + place for n in range(64))) for place in (0.0, 0.5)]
    episode = Episode(name="é" * 64, order=-1.5)
    name = "n" * 128
    await engine.store_many(name, [new(c, episode=episode) for c in far])
    await engine.link(name, far[0], far[1], type="t" * 128)
    assert await engine.shortest_path(name, far[0], far[1]) == far
    assert (await engine.check()).consistent
    await house.nothing_waits()
