"""Tenants whose names are as alike as can be do everything at once, and see only their own."""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import httpx
import pytest
from tenant_tokens import grant, issue

from tests.fix_server import PATIENCE_SECONDS, ServerProcess

TENANTS = 8
COORDINATES = [f"{x},{y}" for x in range(3) for y in range(4)] + ["0", "1", "-1.5", "0,0,0"]
CANARY = re.compile(r"canary(\d+)q")
CURSOR = re.compile(r'"next_cursor": ?"([^"]+)"')
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
LINES = {"Content-Type": "application/x-ndjson"}
PAIRS = (
    ("a", "a/b"),
    ("default", "default "),
    ("ab", "a\u0430b"),
    ("\u00e9", "e\u0301"),
    ("a:b", "a%3Ab"),
    ("x" * 127, "x" * 128),
    ("*", "a*"),
    ("..", "../a"),
    ("_", "%"),
    ("a{b}", "{a}b"),
    ("A", "a\u200b"),
    ("'; --", '"'),
    ("0", "00"),
    ("\U0001f600", "\U0001f601"),
)


@dataclass(slots=True)
class Tenant:
    """One tenant, what it does, and what it has seen that it should not.

    Attributes:
        cursors: Where listings go on, of all tenants.
    """

    number: int
    name: str
    others: list[str]
    client: httpx.AsyncClient
    chance: random.Random
    cursors: list[str]
    leaks: list[str] = field(default_factory=list[str])
    refused: int = 0
    served: int = 0

    def payload(self) -> dict[str, object]:
        # The words are everybody's, so that a search that went astray would find them.
        text = f"the same words about tea and trains, canary{self.number}q"
        return {"text": text, "topic": self.chance.choice(["tea", "trains"])}

    def coordinate(self) -> str:
        return self.chance.choice(COORDINATES)

    async def ask(
        self,
        method: str,
        path: str,
        body: dict[str, object] | None = None,
        **parameters: str | list[str],
    ) -> None:
        """Ask for something in one's own namespace, or now and then in another's."""
        intrudes = self.chance.random() < 0.2
        name = self.chance.choice(self.others) if intrudes else self.name
        headers: dict[str, bytes] = {}
        if method in WRITES and self.chance.random() < 0.2:
            # Everybody's keys are the same, and nobody may be answered what another was.
            headers["Idempotency-Key"] = b'"key-%d"' % self.chance.randrange(40)
        query: dict[str, str | list[str]] = dict(parameters)
        place = self.chance.choice(["header", "here", "nowhere" if not intrudes else "here"])
        if place == "header" and name == name.strip():
            headers["X-SFM-Namespace"] = name.encode()
        elif place != "nowhere":
            if body is None:
                query["namespace"] = name
            else:
                body = {**body, "namespace": name}
        answer = await self.client.request(
            method, path, json=body, params=query, headers=cast("dict[str, str]", headers)
        )
        self.look_at(answer, refused=intrudes)

    def look_at(self, answer: httpx.Response, *, refused: bool) -> None:
        if answer.request.url.path == "/namespaces" and answer.is_success:
            others = [name for name in answer.json()["namespaces"] if name != self.name]
            self.leaks.extend(f"the namespace {name!r}" for name in others)
        self.cursors += CURSOR.findall(answer.text)
        foreign = {n for n in CANARY.findall(answer.text) if int(n) != self.number}
        if foreign:
            self.leaks.append(f"{answer.request.method} {answer.request.url}: of {foreign}")
        if refused is not (answer.status_code == 403) or answer.status_code >= 500:
            self.leaks.append(f"{answer.status_code} {answer.request.url} {answer.text[:200]}")
        self.refused += answer.status_code == 403
        self.served += answer.is_success


Act = Callable[[Tenant], Awaitable[None]]


async def store(one: Tenant) -> None:
    await one.ask("POST", "/store", {"coord": one.coordinate(), "payload": one.payload()})


async def store_bulk(one: Tenant) -> None:
    items = [{"coord": one.coordinate(), "payload": one.payload()} for _ in range(3)]
    await one.ask("POST", "/store_bulk", {"items": items})


async def recall(one: Tenant) -> None:
    path = one.chance.choice(["/recall", "/recall_with_scores"])
    mode = one.chance.choice(["hybrid", "dense", "keyword"])
    other = one.chance.randrange(TENANTS)
    query = one.chance.choice(["tea and trains", f"canary{other}q", "canary"])
    asked: dict[str, object] = {"query": query, "top_k": 20, "mode": mode}
    if one.chance.random() < 0.2:
        asked["why_not"] = one.coordinate()
    if one.chance.random() < 0.2:
        asked["as_of"] = datetime.now(UTC).isoformat()
    await one.ask("POST", path, asked)


async def recall_otherwise(one: Tenant) -> None:
    if one.chance.random() < 0.5:
        await one.ask("POST", "/recall_batch", {"queries": ["tea", "trains"], "top_k": 20})
    else:
        body: dict[str, object] = {"query": "words", "context": "tea", "explain": True}
        await one.ask("POST", "/recall_with_context", body)


async def read(one: Tenant) -> None:
    path = f"/memories/{one.coordinate()}"
    await one.ask("GET", path + one.chance.choice(["", "/history"]))


async def change(one: Tenant) -> None:
    path = f"/memories/{one.coordinate()}"
    match one.chance.randrange(3):
        case 0:
            await one.ask("PATCH", path, {"importance": one.chance.random()})
        case 1:
            await one.ask("PUT", path, {"payload": one.payload()})
        case _:
            await one.ask("DELETE", path)


async def link(one: Tenant) -> None:
    path = one.chance.choice(["/link", "/link", "/unlink"])
    ends: dict[str, object] = {"from_coord": one.coordinate(), "to_coord": one.coordinate()}
    await one.ask("POST", path, ends)


async def follow(one: Tenant) -> None:
    if one.chance.random() < 0.5:
        await one.ask("GET", "/neighbors", coord=one.coordinate())
    else:
        await one.ask("GET", "/shortest_path", frm=one.coordinate(), to=one.coordinate())


async def look_around(one: Tenant) -> None:
    match one.chance.randrange(6):
        case 0:
            await one.ask("GET", "/range", min="-9,-9", max="9,9")
        case 2:
            await one.ask("GET", "/memories", limit="100")
        case 4:
            # Where another's listing would go on.
            there = one.chance.choice(one.cursors or ["none"])
            await one.ask("GET", "/memories", limit="1", cursor=there)
        case 3:
            one.look_at(await one.client.get("/namespaces"), refused=False)
        case 1:
            await one.ask("GET", "/stats")
        case _:
            await one.ask("GET", "/events/page", after="start", limit="50")


async def take_out(one: Tenant) -> None:
    intrudes = one.chance.random() < 0.3
    names = [one.name, *one.chance.sample(one.others, 1)] if intrudes else []
    answer = await one.client.get("/export_memories", params={"namespaces": names})
    one.look_at(answer, refused=intrudes)


async def take_in(one: Tenant) -> None:
    """Import a line for oneself and one for another, of which only the first is taken."""
    other = one.chance.choice(one.others)
    own = {"coord": one.coordinate(), "payload": one.payload(), "namespace": one.name}
    lines = "\n".join(json.dumps(line) for line in (own, {**own, "namespace": other}))
    # What names no namespace is the tenant's own, whose token is for one only.
    answer = await one.client.post("/import_memories", content=lines.encode(), headers=LINES)
    one.look_at(answer, refused=False)
    if answer.is_success and answer.json()["failed"] != 1:
        one.leaks.append(f"imported into {other!r}: {answer.text[:200]}")


async def delete_many(one: Tenant) -> None:
    body: dict[str, object] = {"purge": one.chance.random() < 0.5}
    if one.chance.random() < 0.5:
        body["coords"] = [one.coordinate()]
    else:
        body |= {"filters": {"topic": "tea"}, "limit": 5}
    await one.ask("POST", "/delete_many", body)


async def wander(one: Tenant) -> None:
    """Ask for what is nobody's but the operator's."""
    method, path = one.chance.choice(
        [("GET", "/collections"), ("POST", "/check"), ("POST", "/rebuild")]
    )
    one.look_at(await one.client.request(method, path, json={}), refused=True)


ACTS: tuple[tuple[Act, int], ...] = (
    (store, 22),
    (store_bulk, 5),
    (recall, 22),
    (recall_otherwise, 6),
    (read, 12),
    (change, 8),
    (link, 8),
    (follow, 8),
    (look_around, 6),
    (take_out, 1),
    (take_in, 1),
    (delete_many, 1),
    (wander, 1),
)


async def live(one: Tenant, operations: int) -> None:
    acts, weights = zip(*ACTS, strict=True)
    for act in one.chance.choices(acts, weights, k=operations):
        await act(one)


@pytest.mark.timeout(7200)
@pytest.mark.modes("embedded", "evented_enterprise")
async def test_no_tenant_sees_anything_of_another(
    server: ServerProcess, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    operations = cast("int", pytestconfig.getoption("--tenant-operations"))
    seed = cast("int", pytestconfig.getoption("--tenant-seed"))
    chosen = random.Random(seed).sample(PAIRS, TENANTS // 2)
    names = [name for pair in chosen for name in pair]
    tokens = tmp_path / "tokens.json"
    headers = [issue(tokens, f"t{n}", grant("admin", name)) for n, name in enumerate(names)]
    server.variables |= {"SFM_TOKENS_FILE": str(tokens), "SOMA_RATE_LIMIT_MAX": "0"}
    await server.start()
    cursors: list[str] = []
    tenants = [
        Tenant(
            number=number,
            name=name,
            others=[other for other in names if other != name],
            client=httpx.AsyncClient(
                base_url=server.url,
                headers=headers[number],
                timeout=PATIENCE_SECONDS,
                trust_env=False,
            ),
            chance=random.Random(f"{seed} {number}"),
            cursors=cursors,
        )
        for number, name in enumerate(names)
    ]
    try:
        await asyncio.gather(*(live(one, operations // TENANTS) for one in tenants))
        for one in tenants:
            exported = await one.client.get("/export_memories")
            one.look_at(exported, refused=False)
    finally:
        for one in tenants:
            await one.client.aclose()
    assert [leak for one in tenants for leak in one.leaks] == []
    assert all(one.served > operations // TENANTS // 4 for one in tenants)
    assert all(one.refused for one in tenants)
    assert server.surprises == ""
