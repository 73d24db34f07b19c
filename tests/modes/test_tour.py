"""One memory that moves through the modes and comes home, and what must be the same all along."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import httpx
import pytest

from sfm_core.model.payload import Payload
from tests import sample_conversation
from tests.fix_modes import Stores, Variables
from tests.fix_server import Json, ServerProcess, ask, health_of, look, settled

TOUR = (
    "embedded",
    "development",
    "evented_enterprise",
    "cloud_managed",
    "development",
    "embedded",
)
NDJSON = {"Content-Type": "application/x-ndjson"}
FIRST_HITS = 3

Hits: TypeAlias = dict[tuple[str, str], list[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversations:
    """What is remembered, and what is asked about it."""

    lines: bytes
    questions: list[tuple[str, str]]

    @classmethod
    def invented(cls) -> Conversations:
        """Return the short one of the repository."""
        lines = "".join(json.dumps(line) + "\n" for line in sample_conversation.LINES)
        space = sample_conversation.NAMESPACE
        return cls(
            lines=lines.encode(),
            questions=[(space, question) for question in sample_conversation.QUESTIONS],
        )

    @classmethod
    def of(cls, folder: Path) -> Conversations:
        """Return real ones, in the form that the benchmarks read."""
        asked = map(json.loads, (folder / "questions.jsonl").read_bytes().splitlines())
        return cls(
            lines=(folder / "memories.jsonl").read_bytes(),
            questions=[(line["namespace"], line["query"]) for line in asked],
        )


class Tourist:
    """Looks at a memory in one mode after the other, and changes it in each."""

    def __init__(self, conversations: Conversations) -> None:
        self.questions = conversations.questions
        self.space = conversations.questions[0][0]

    async def export(self, server: ServerProcess) -> list[bytes]:
        """Return the memories and links, line by line."""
        async with server.client() as client:
            lines = (await client.get("/export_memories")).content.splitlines()
        return [line for line in lines if json.loads(line)["kind"] in {"memory", "link"}]

    async def hits(self, server: ServerProcess) -> Hits:
        """Return the first hits of each question, when the derived stores have caught up."""
        async with server.client() as client:

            async def complete() -> bool:
                health = await health_of(client)
                return health["rebuilding"] is False and health["outbox_depth"] == 0

            async def consistent() -> bool:
                # An expired memory is in the indexes until the next round of upkeep.
                return (await ask(client, "/check", {}))["consistent"] is True

            await settled(complete)
            await settled(consistent)
            return {asked: await self._hits(client, *asked) for asked in self.questions}

    async def change(self, server: ServerProcess, step: int) -> None:
        """Store, replace, weigh, delete, link and let expire."""
        async with server.client(self.space) as client:
            await self._write(client, step)
            fleeting: Payload = {"coord": f"-9,{step}", "payload": {"text": "here and gone"}}
            await ask(client, "/store", {**fleeting, "ttl_seconds": 0.5})

            async def expired() -> bool:
                return (await client.get(f"/memories/-9,{step}")).status_code == 404

            await settled(expired)

    async def _write(self, client: httpx.AsyncClient, step: int) -> None:
        def note(coord: str, text: str) -> Payload:
            return {"coord": coord, "payload": {"text": f"{text} on stage {step} of the tour"}}

        await ask(client, "/store", note(f"-1,{step}", "a postcard written"))
        await ask(client, "/store", note("-2,0", "the one that is replaced"))
        await ask(client, "/store", note(f"-3,{step}", "a receipt thrown away"))
        await ask(client, "/store", {**note(f"-4,{step}", "a pass"), "ttl_seconds": 86_400})
        await client.patch("/memories/-2,0", json={"importance": 0.25 + step / 10})
        assert (await client.delete(f"/memories/-3,{step}")).status_code == 200
        for target in ("-2,0", f"-4,{step}"):
            ends: Payload = {"from_coord": f"-1,{step}", "to_coord": target, "weight": step + 0.5}
            await ask(client, "/link", ends)
        if step:
            gone: Payload = {"from_coord": f"-1,{step - 1}", "to_coord": f"-4,{step - 1}"}
            await ask(client, "/unlink", gone)
            path = await look(client, "/shortest_path", frm=f"-1,{step - 1}", to="-2,0")
            assert path["path"] == [f"-1,{step - 1}", "-2,0"]
            assert (await client.get(f"/memories/-3,{step - 1}")).status_code == 404

    async def _hits(self, client: httpx.AsyncClient, space: str, question: str) -> list[str]:
        body: Payload = {"namespace": space, "query": question, "top_k": FIRST_HITS}
        results = (await ask(client, "/recall_with_scores", body))["results"]
        return [cast("str", hit["coord"]) for hit in cast("list[dict[str, Json]]", results)]


def stages(stores: Stores) -> Iterator[tuple[str, Variables]]:
    """Return what a user who moves from mode to mode sets, one mode after the other."""
    first, managed = stores.variables("evented_enterprise"), stores.variables("cloud_managed")
    vectors = {key: first[key] for key in ("SFM_VECTOR_URL", "QDRANT_URL") if key in first}
    for mode in TOUR[:3]:
        # The services that are not used yet may run, and their variables be set.
        yield mode, first | {"MEMORY_MODE": mode}
    former = f"{first['POSTGRES_URL']}?sslmode=disable"
    yield TOUR[3], managed | {"SFM_FORMER_KV_URLS": former}
    for mode in TOUR[4:]:
        yield mode, managed | vectors | {"MEMORY_MODE": mode, "REDIS_URL": first["REDIS_URL"]}


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_memory_that_moves_through_the_modes_stays_the_same(
    stores: Stores, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    given = cast("str | None", pytestconfig.getoption("--conversations"))
    conversations = Conversations.of(Path(given)) if given else Conversations.invented()
    tourist = Tourist(conversations)
    server = ServerProcess(tmp_path, {})
    exported: list[bytes] = []
    hits: Hits = {}
    try:
        for step, (mode, variables) in enumerate(stages(stores)):
            server.variables = without_slots_of_others(mode, variables)
            await server.start(embedder="static:")
            if step:
                moved = await tourist.export(server)
                assert moved == exported, f"{mode}: {difference(exported, moved)}"
                found = await tourist.hits(server)
                assert found == hits, f"{mode}: {misses(hits, found)}"
            else:
                await bring_in(server, conversations.lines)
            await tourist.change(server, step)
            hits = await tourist.hits(server)
            server.stop()
            # Reads are counted by and by; at the latest when the server stops.
            await server.start(embedder="static:")
            exported = await tourist.export(server)
            server.stop()
    finally:
        server.close()


async def bring_in(server: ServerProcess, lines: bytes) -> None:
    async with server.client() as client:
        imported = await client.post("/import_memories", content=lines, headers=NDJSON)
        assert imported.json()["errors"] == []


def without_slots_of_others(mode: str, variables: Mapping[str, str]) -> Variables:
    kept = dict(variables)
    if mode == "embedded":
        kept.pop("SFM_VECTOR_URL", None)
    return kept


def difference(before: list[bytes], now: list[bytes]) -> str:
    lost = [line for line in before if line not in now]
    new = [line for line in now if line not in before]
    return f"{len(lost)} lines are gone, {len(new)} are new: {lost[:3]} {new[:3]}"


def misses(before: Hits, now: Hits) -> str:
    told = [f"{asked}: {hits}, now {now[asked]}" for asked, hits in before.items()]
    other = [line for line, asked in zip(told, before, strict=True) if now[asked] != before[asked]]
    return f"{len(other)} of {len(before)}: {other[:5]}"
