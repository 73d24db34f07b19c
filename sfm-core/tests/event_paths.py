"""Every way in which memories and links change, and what an export can have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, TypeAlias, cast

import msgspec
from engine_house import NS, House, at, new, open_house

from sfm_core.engine.events import subject
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.model.events import Event, EventType
from sfm_core.model.keys import LINK, MEMORY, KeyRange
from sfm_core.model.memory import Episode, MemoryType
from sfm_core.model.record import LinkRecord, MemoryRecord, decode_link, decode_memory

A, B, C = at(1), at(2), at(3)

ChangePath: TypeAlias = Callable[[House, MemoryEngine], Awaitable[None]]


async def three(engine: MemoryEngine) -> None:
    """Store three memories, each linked to the others."""
    episode = Episode(name="tea", order=1.5)
    await engine.store_many(NS, [new(A), replace(new(B), episode=episode), new(C)])
    for source, target in ((A, B), (B, C), (C, A), (A, A)):
        await engine.link(NS, source, target)


async def stores(_: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(A))
    await engine.store(NS, new(A, "again"))
    await engine.remember(NS, {"text": "anywhere"})
    await engine.store_many(NS, [new(A), new(B), new(B), new(A)])


async def changes_importance(_: House, engine: MemoryEngine) -> None:
    await engine.store(NS, new(A))
    await engine.set_importance(NS, A, 0.9)


async def deletes(house: House, engine: MemoryEngine) -> None:
    await three(engine)
    await engine.delete(NS, A)
    await engine.delete(NS, A)
    await house.nothing_waits(sweeping=True)


async def deletes_many(house: House, engine: MemoryEngine) -> None:
    await three(engine)
    await engine.delete_many(NS, [A, B, A, at(9)])
    await house.nothing_waits(sweeping=True)


async def lives_twice(house: House, engine: MemoryEngine) -> None:
    await three(engine)
    await engine.delete(NS, A)
    await engine.store(NS, new(A))
    await engine.link(NS, A, B)
    await house.nothing_waits(sweeping=True)


async def expires(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, replace(new(A), ttl=timedelta(minutes=1)))
    await engine.store(NS, new(B))
    await engine.link(NS, A, B)
    await house.sweep(timedelta(minutes=2))
    await house.nothing_waits(sweeping=True)


async def stores_over_what_has_expired(house: House, engine: MemoryEngine) -> None:
    await engine.store(NS, replace(new(A), ttl=timedelta(milliseconds=1)))
    await house.clock.advance(timedelta(milliseconds=2))
    await engine.store(NS, new(A, "new life"))


async def links(_: House, engine: MemoryEngine) -> None:
    await three(engine)
    await engine.link(NS, A, B, weight=0.5)
    await engine.unlink(NS, A, B)
    await engine.unlink(NS, A, B)
    await engine.link(NS, A, B)


async def imports_lines(_: House, engine: MemoryEngine) -> None:
    lines = [b'{"coord": [%d], "payload": {"n": %d}}' % (n % 3, n) for n in range(5)]
    await load(engine, lines)
    await load(engine, lines[-1:])
    await load(engine, [b'{"from_coord": [0], "to_coord": [1]}'] * 2)


async def imports_an_export(_: House, engine: MemoryEngine) -> None:
    await load(engine, await an_export())


async def imports_over_what_is_there(_: House, engine: MemoryEngine) -> None:
    await engine.store_many(NS, [new(B)] * 4)
    await engine.delete(NS, B)
    await engine.store(NS, new(A))
    await engine.link(NS, A, A)
    await load(engine, await an_export())
    await load(engine, await an_export())


PATHS: list[ChangePath] = [
    stores,
    changes_importance,
    deletes,
    deletes_many,
    lives_twice,
    expires,
    stores_over_what_has_expired,
    links,
    imports_lines,
    imports_an_export,
    imports_over_what_is_there,
]


async def an_export() -> list[bytes]:
    """Return an export with everything that it can have."""
    async with open_house() as house, house.open() as engine:
        await engine.store(NS, new(A))
        await engine.delete(NS, A)
        for number in range(3):
            await engine.store(NS, new(A, str(number)))
        await engine.set_importance(NS, A, 0.25)
        episode = Episode(name="tea", order=1.5)
        await engine.store(NS, replace(new(B), ttl=timedelta(days=999), episode=episode))
        await engine.store(NS, new(C))
        await engine.delete(NS, C)
        await engine.link(NS, A, B, weight=0.5)
        await engine.link(NS, A, B, weight=0.25)
        return [line async for line in engine.export()]


async def load(engine: MemoryEngine, lines: Iterable[bytes]) -> None:
    """Import lines."""

    async def stream() -> AsyncIterator[bytes]:
        for line in lines:
            yield line

    report = await engine.import_lines(stream(), default_namespace=NS)
    assert report.failed == 0, report.errors


async def records(house: House) -> dict[tuple[str, int], MemoryRecord | LinkRecord]:
    """Return what the truth says of every memory and link, dead or alive."""
    [memories] = await house.kv.scan(NS, [KeyRange.prefix(MEMORY)], limit=1000)
    [links] = await house.kv.scan(NS, [KeyRange.prefix(LINK)], limit=1000)
    return {
        **{(subject(key), entry.version): decode_memory(entry.value) for key, entry in memories},
        **{(subject(key), entry.version): decode_link(entry.value) for key, entry in links},
    }


def remade(event: Event) -> MemoryRecord | LinkRecord:
    """Make what the truth says of what an event is about."""
    assert event.data is not None
    data = cast(dict[str, Any], event.data)
    if data["kind"] == "link":
        return LinkRecord(
            weight=data["weight"],
            updated_at=datetime.fromisoformat(data["updated_at"]),
            source_born=data["from_born"],
            target_born=data["to_born"],
            deleted=event.type is EventType.LINK_DELETED,
        )
    expires_at = data.get("expires_at")
    return MemoryRecord(
        payload=msgspec.Raw(msgspec.json.encode(data.get("payload", {}))),
        type=MemoryType(data["type"]),
        importance=data.get("importance", 0.5),
        created_at=datetime.fromisoformat(data["created_at"]),
        updated_at=datetime.fromisoformat(data["updated_at"]),
        born=data["born"],
        expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
        episode=Episode(**data["episode"]) if "episode" in data else None,
        deleted=event.type is EventType.MEMORY_DELETED,
    )
