"""Every mode is chosen by its name, and finds its services by their own variables."""

from __future__ import annotations

import json
import subprocess
from uuid import uuid4

from tests.fix_server import Json, ServerProcess, ask, health_of, look, settled

TRUTHS = {
    "embedded": "sqlite",
    "test": "memory",
    "development": "redis",
    "evented_enterprise": "postgresql",
    "cloud_managed": "postgresql",
}


async def test_a_server_stores_and_recalls_in_the_mode_that_it_was_told(
    shared_server: ServerProcess, mode: str
) -> None:
    async with shared_server.client(f"of-{uuid4().hex}") as client:
        assert (await look(client, "/"))["mode"] == mode
        stored = await ask(client, "/store", {"coord": "1", "payload": {"text": "a whale"}})
        assert stored["indexed"] is True
        assert await ask(client, "/recall", {"query": "whale"}) == {
            "matches": [{"text": "a whale"}]
        }
        health: dict[str, Json] = {}

        async def well() -> bool:
            health.update(await health_of(client))
            return health["status"] == "ok"

        await settled(well)
        assert isinstance(health["ports"], dict)
        assert isinstance(health["ports"]["kv"], dict)
        assert health["ports"]["kv"]["scheme"] == TRUTHS[mode]


def test_the_doctor_reaches_every_slot_and_shows_no_secret(
    server: ServerProcess, mode: str
) -> None:
    variables = server.variables | {"SFM_DATA_FOLDER": str(server.data)}

    done = subprocess.run(
        server.command("doctor", "--json"),
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        env=variables,
    )

    findings = {one["check"]: one for one in json.loads(done.stdout)}
    failed = [one for one in findings.values() if one["verdict"] == "failed"]
    assert (failed, done.returncode) == ([], 0)
    assert TRUTHS[mode] in findings["kv"]["detail"]
    assert "reached in" in findings["kv"]["detail"]
    secrets = {value for name, value in server.variables.items() if "PASSWORD" in name}
    assert not any(secret in done.stdout for secret in secrets)
