"""What the chart runs in pods, run on real servers: the test of an installation, and the job."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.chart_file import container, rendered
from tests.fix_modes import Stores
from tests.fix_server import ServerProcess, ask

PROGRAMS = Path(sys.executable).parent
TOKEN = "a-token-of-this-test"  # noqa: S105 - it guards nothing
# What the pods use of the stores; there is no Qdrant, and who publishes does not matter here.
COMMON = {
    "EVENTING_ENABLED": "false",
    "SFM_VECTOR_URL": "sqlite:vectors.db",
    "SFM_EMBEDDER_URL": "hashing:",
}


def run(command: list[str], folder: Path, environ: Mapping[str, str]) -> tuple[int, str]:
    """Run what a pod runs, and return its status and what it prints, or why it failed."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": f"{PROGRAMS}:{os.defpath}", "HOME": str(folder), **environ},
        capture_output=True,
        text=True,
        check=False,
        # The job waits until a server has shown that it runs, and five seconds from try to try.
        timeout=240,
    )
    return done.returncode, done.stderr if done.returncode else done.stdout


def start(folder: Path, environ: Mapping[str, str]) -> ServerProcess:
    folder.mkdir()
    return ServerProcess(folder, COMMON | dict(environ))


@pytest.fixture
def pod(tmp_path: Path) -> Path:
    """The folder of a pod, with nothing in it."""
    folder = tmp_path / "pod"
    folder.mkdir()
    return folder


async def test_the_test_of_an_installation_succeeds_on_a_server_that_works(
    tmp_path: Path, pod: Path
) -> None:
    test = container(rendered({}), "test")
    server = start(tmp_path / "server", {"SOMA_API_TOKEN": TOKEN})
    try:
        await server.start()
        environ = {"URL": server.url, "SOMA_API_TOKEN": TOKEN}
        status, said = run([*test["command"], *test["args"]], pod, environ)
        async with server.client("helm-test") as client:
            left = await client.get("/stats", headers={"Authorization": f"Bearer {TOKEN}"})
    finally:
        server.close()

    assert status == 0, said
    assert "kettle" in said
    assert left.json()["total_memories"] == 0


class Release:
    """A release in mode development whose upgrade is to be in mode evented_enterprise."""

    def __init__(self, folder: Path, stores: Stores, pod: Path) -> None:
        everything = stores.redis() | stores.postgres()
        self.server = start(folder / "server", everything | {"MEMORY_MODE": "development"})
        self._upgraded = COMMON | everything | {"MEMORY_MODE": "evented_enterprise"}
        self._pod = pod

    async def begin(self) -> None:
        """Start the pod of the old mode, and store a memory with it."""
        await self.server.start()
        async with self.server.client() as client:
            await ask(client, "/store", {"coord": "1,1", "payload": {"text": "The kettle."}})

    def job(self) -> tuple[int, str]:
        """Run the job of the chart in the new mode."""
        job = container(rendered({}), "migration")
        shell, option = job["command"]
        # What it says meanwhile is looked at.
        command = [shell, option, "exec 2>said; " + job["args"][0]]
        return run(command, self._pod, self._upgraded)

    async def end_when_told(self, by: asyncio.Task[tuple[int, str]]) -> None:
        """Stop the pod of the old mode as soon as the job has found it."""
        # Another process is waited for, which tells of nothing by itself.
        while "a server runs on that" not in self.said and not by.done():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await asyncio.to_thread(self.server.stop)

    @property
    def said(self) -> str:
        """What the job has said so far."""
        path = self._pod / "said"
        return path.read_text() if path.exists() else ""

    def hand_over(self) -> tuple[int, str]:
        """Do what the page tells to do in a pod of the old mode."""
        command = ["sfm", "migrate", "development", "evented_enterprise"]
        return run(command, self._pod, self.server.variables)


@pytest.fixture
def release(tmp_path: Path, stores: Stores, pod: Path) -> Iterator[Release]:
    made = Release(tmp_path, stores, pod)
    yield made
    made.server.close()


async def test_the_job_brings_memories_along_as_soon_as_the_pods_of_the_old_mode_have_ended(
    release: Release,
) -> None:
    await release.begin()

    job = asyncio.create_task(asyncio.to_thread(release.job))
    await release.end_when_told(job)
    status, answer = await job

    assert status == 0, release.said
    assert json.loads(answer)["total_memories"] == 1


async def test_after_a_migration_pods_of_both_modes_run_beside_one_another(
    release: Release,
) -> None:
    await release.begin()
    assert release.hand_over()[0] == 0

    status, answer = release.job()

    assert status == 0, release.said
    assert json.loads(answer)["total_memories"] == 1
    async with release.server.client() as client:
        assert (await client.get("/memories/1,1")).status_code == 200
