from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from sfm_core.model.payload import Payload
from tests.fix_server import MakeServer, ServerProcess, ask, look
from tests.sample_conversation import LINES, NAMESPACE, QUESTIONS, write_lines


def run(server: ServerProcess, *arguments: str) -> dict[str, object]:
    command = server.command(*arguments, "--url", server.url, "--json")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, env={})
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


async def import_conversation(server: ServerProcess, folder: Path) -> None:
    imported = run(server, "import", str(write_lines(folder / "conversation.jsonl")))
    assert imported["imported"] == len(LINES)


@pytest.mark.parametrize("embedder", ["hashing:", "static:"])
async def test_what_was_said_months_ago_is_recalled(
    server: ServerProcess, tmp_path: Path, embedder: str
) -> None:
    await server.start(embedder=embedder)
    await import_conversation(server, tmp_path)

    async with server.client() as client:
        for question, evidence in QUESTIONS.items():
            body: Payload = {"namespace": NAMESPACE, "query": question, "top_k": 5}
            results = (await ask(client, "/recall_with_scores", body))["results"]
            assert isinstance(results, list)
            found = [result["coord"] for result in results if isinstance(result, dict)]
            assert ",".join(map(str, evidence)) in found, question


async def test_importing_again_changes_nothing(server: ServerProcess, tmp_path: Path) -> None:
    await server.start()
    await import_conversation(server, tmp_path)
    async with server.client() as client:
        before = await look(client, "/memories/1,4", namespace=NAMESPACE)

        await import_conversation(server, tmp_path)

        after = await look(client, "/memories/1,4", namespace=NAMESPACE)
        assert (after["version"], after["updated_at"]) == (before["version"], before["updated_at"])
        assert (await look(client, "/stats", namespace=NAMESPACE))["total_memories"] == len(LINES)


async def test_linked_memories_are_found_by_their_path(
    server: ServerProcess, tmp_path: Path
) -> None:
    await server.start()
    await import_conversation(server, tmp_path)
    async with server.client() as client:
        for source, target, weight in (("1,4", "2,7", 0.5), ("2,7", "3,2", 0.5), ("1,4", "3,2", 2)):
            link = {"from_coord": source, "to_coord": target, "weight": weight}
            await ask(client, "/link", {"namespace": NAMESPACE, **link})

        path = await look(client, "/shortest_path", namespace=NAMESPACE, frm="1,4", to="3,2")
        near = await look(client, "/neighbors", namespace=NAMESPACE, coord="1,4")

    assert path["path"] == ["1,4", "2,7", "3,2"]
    assert isinstance(near["neighbors"], list)
    assert [pair[0] for pair in near["neighbors"] if isinstance(pair, list)] == ["2,7", "3,2"]


async def test_an_export_imported_elsewhere_is_the_same_memory(
    make_server: MakeServer, tmp_path: Path
) -> None:
    server, other = make_server(), make_server()
    await server.start()
    await import_conversation(server, tmp_path)
    async with server.client() as client:
        await ask(client, "/link", {"namespace": NAMESPACE, "from_coord": "1,1", "to_coord": "1,2"})
        exported = (await client.get("/export_memories")).content
    server.stop()

    await other.start()
    async with other.client() as client:
        kind = {"Content-Type": "application/x-ndjson"}
        await client.post("/import_memories", content=exported, headers=kind)
        again = (await client.get("/export_memories")).content

    assert _content(again) == _content(exported)


def _content(exported: bytes) -> list[object]:
    lines = [json.loads(line) for line in exported.splitlines()]
    for line in lines:
        if line["kind"] == "link":
            # A link that is imported is a link that is made now.
            del line["updated_at"]
    return [line for line in lines if line["kind"] not in {"header", "footer"}]
