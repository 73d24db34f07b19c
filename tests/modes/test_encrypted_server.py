"""A server on services of their own whose truth is encrypted, from keys to erasing."""

from __future__ import annotations

import json
import subprocess
from contextlib import closing

import httpx
import psycopg
import pytest
from kafka_helpers import read

from tests.fix_server import ServerProcess, ask, look, settled

pytestmark = pytest.mark.modes("evented_enterprise")

WHALE, FOX = "A whale sings quomodocunquize.", "A fox barks xylocarpous."
SECRET_WORDS = (b"quomodocunquize", b"xylocarpous")


def sfm(server: ServerProcess, *arguments: str) -> str:
    command = server.command(*arguments)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=120, env=server.variables
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def encrypted(server: ServerProcess) -> ServerProcess:
    """A server with keys, which tells neither vectors' words nor events' payloads to anybody."""
    server.variables |= {
        "SFM_ENCRYPTION_KEYS_FILE": str(server.data.parent / "keys.json"),
        "SFM_VECTOR_CONTENT": "none",
        "SFM_EVENTS_PAYLOAD": "none",
        "SFM_DATA_FOLDER": str(server.data),
        "SFM_EMBEDDER_URL": "hashing:",
    }
    sfm(server, "keys", "new", "one")
    sfm(server, "keys", "new", "own", "--for", "tenant")
    return server


def values_in(url: str) -> bytes:
    """Return the values of the truth as PostgreSQL has them."""
    with closing(psycopg.connect(url)) as raw:
        rows = raw.execute("SELECT value FROM sfm.entry").fetchall()
    return b"\n".join(bytes(value) for (value,) in rows if value is not None)


async def test_memories_are_stored_found_told_purged_and_erased(encrypted: ServerProcess) -> None:
    server, variables = encrypted, encrypted.variables
    await server.start()
    async with server.client() as client:
        await ask(client, "/store", {"coord": "1", "payload": {"text": WHALE}})
        await ask(client, "/store", {"coord": "2", "payload": {"text": WHALE}})
        await ask(client, "/store", {"coord": "1", "payload": {"text": FOX}, "namespace": "tenant"})
        # By meaning alone: the vector store has no words.
        found = await ask(client, "/recall", {"query": WHALE, "top_k": 2})
        assert found == {"matches": [{"text": WHALE}, {"text": WHALE}]}
        assert not any(word in values_in(variables["POSTGRES_URL"]) for word in SECRET_WORDS)

        stores = await gone_over(client, "1")
        assert stores >= {"truth", "vectors", "events"}
        assert (await client.get("/memories/1")).status_code == 404
        assert await ask(client, "/recall", {"query": WHALE}) == {"matches": [{"text": WHALE}]}
    server.stop()

    await server.start()
    async with server.client() as client:
        kept = await look(client, "/memories/2")
        assert kept["payload"] == {"text": WHALE}
    # While it runs; where the vector store is a folder, that is the server's alone.
    erased = json.loads(sfm(server, "keys", "destroy", "own", "--erase", "--json"))
    assert erased["namespaces"] == ["tenant"]
    async with server.client("tenant") as client:
        await settled(lambda: _gone(server))
        assert (await client.post("/store", json={"coord": "3", "payload": {}})).status_code == 410
    async with server.client() as client:
        assert (await look(client, "/memories/2"))["payload"] == {"text": WHALE}
    server.stop()

    records = await read(
        variables["KAFKA_BOOTSTRAP_SERVERS"], variables["KAFKA_MEMORY_EVENTS_TOPIC"]
    )
    assert len(records) >= 4
    told = b"\n".join(record.value or b"" for record in records)
    assert not any(word in told for word in SECRET_WORDS)
    assert "Traceback" not in server.log, server.surprises


async def gone_over(client: httpx.AsyncClient, coord: str) -> set[str]:
    """Purge a memory until every store has been gone over for it; return the stores."""
    stores: set[str] = set()

    async def nothing_waits() -> bool:
        answer = await client.delete(f"/memories/{coord}", params={"purge": "true"})
        assert answer.status_code == 200, answer.text
        stores.clear()
        stores.update(one["store"] for one in answer.json()["stores"])
        return answer.json()["pending"] is False

    await settled(nothing_waits)
    return stores


async def _gone(server: ServerProcess) -> bool:
    async with server.client("tenant") as client:
        return (await client.get("/memories/1")).status_code == 404
