from __future__ import annotations

import json
import subprocess
from pathlib import Path
from uuid import uuid4

import pytest

from sfm_core.model.payload import Payload
from tests.fix_server import ServerProcess, ask, look
from tests.sample_conversation import LINES, QUESTIONS, write_lines


def run(server: ServerProcess, *arguments: str) -> dict[str, object]:
    command = server.command(*arguments, "--url", server.url, "--json")
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, env={})
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@pytest.fixture
def namespace() -> str:
    """A namespace that no other test uses."""
    return f"of-{uuid4().hex}"


async def import_conversation(server: ServerProcess, folder: Path, namespace: str) -> None:
    lines = write_lines(folder / "conversation.jsonl", namespace)
    assert run(server, "import", str(lines))["imported"] == len(LINES)


async def recalls_what_was_said(server: ServerProcess, folder: Path, namespace: str) -> None:
    await import_conversation(server, folder, namespace)
    async with server.client(namespace) as client:
        for question, evidence in QUESTIONS.items():
            body: Payload = {"query": question, "top_k": 5}
            results = (await ask(client, "/recall_with_scores", body))["results"]
            assert isinstance(results, list)
            found = [result["coord"] for result in results if isinstance(result, dict)]
            assert ",".join(map(str, evidence)) in found, question


async def test_what_was_said_months_ago_is_recalled(
    shared_server: ServerProcess, tmp_path: Path, namespace: str
) -> None:
    await recalls_what_was_said(shared_server, tmp_path, namespace)


@pytest.mark.modes("embedded", "evented_enterprise")
async def test_it_is_recalled_with_the_embedder_that_users_have(
    server: ServerProcess, tmp_path: Path, namespace: str
) -> None:
    await server.start(embedder="static:")
    await recalls_what_was_said(server, tmp_path, namespace)


async def test_importing_again_changes_nothing(
    shared_server: ServerProcess, tmp_path: Path, namespace: str
) -> None:
    await import_conversation(shared_server, tmp_path, namespace)
    async with shared_server.client(namespace) as client:
        before = await look(client, "/memories/1,4")

        await import_conversation(shared_server, tmp_path, namespace)

        after = await look(client, "/memories/1,4")
        assert (after["version"], after["updated_at"]) == (before["version"], before["updated_at"])
        assert (await look(client, "/stats"))["total_memories"] == len(LINES)


async def test_linked_memories_are_found_by_their_path(
    shared_server: ServerProcess, tmp_path: Path, namespace: str
) -> None:
    await import_conversation(shared_server, tmp_path, namespace)
    async with shared_server.client(namespace) as client:
        for source, target, weight in (("1,4", "2,7", 0.5), ("2,7", "3,2", 0.5), ("1,4", "3,2", 2)):
            await ask(client, "/link", {"from_coord": source, "to_coord": target, "weight": weight})

        path = await look(client, "/shortest_path", frm="1,4", to="3,2")
        near = await look(client, "/neighbors", coord="1,4")

    assert path["path"] == ["1,4", "2,7", "3,2"]
    assert isinstance(near["neighbors"], list)
    assert [pair[0] for pair in near["neighbors"] if isinstance(pair, list)] == ["2,7", "3,2"]


async def test_an_export_imported_elsewhere_is_the_same_memory(
    shared_server: ServerProcess, server: ServerProcess, tmp_path: Path, namespace: str
) -> None:
    await import_conversation(shared_server, tmp_path, namespace)
    async with shared_server.client(namespace) as client:
        await ask(client, "/link", {"from_coord": "1,1", "to_coord": "1,2"})
        only = {"namespaces": namespace}
        exported = (await client.get("/export_memories", params=only)).content

    await server.start()
    async with server.client() as client:
        kind = {"Content-Type": "application/x-ndjson"}
        await client.post("/import_memories", content=exported, headers=kind)
        again = (await client.get("/export_memories")).content

    assert len(_content(exported)) == len(LINES) + 1
    assert _content(again) == _content(exported)


def _content(exported: bytes) -> list[object]:
    lines = [json.loads(line) for line in exported.splitlines()]
    for line in lines:
        if line["kind"] == "link":
            # A link that is imported is a link that is made now.
            del line["updated_at"]
    return [line for line in lines if line["kind"] not in {"header", "footer"}]
