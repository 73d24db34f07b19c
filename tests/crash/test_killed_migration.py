"""A migration that is killed again and again ends with an exact copy."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

MEMORIES = 3_000
KILLS = 5
MOST_BYTES = 3_000_000
OLD, NEW = "sqlite:old.db", "sqlite:new.db"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,  # noqa: TID251 - what the interpreter needs, and the settings below
        "MEMORY_MODE": "embedded",
        "SFM_DATA_FOLDER": str(tmp_path),
        "SFM_EMBEDDER_URL": "hashing:",
        "SFM_KV_URL": OLD,
        "SFM_LEASE_SECONDS": "1",
    }


@pytest.fixture
def filled(tmp_path: Path, environment: dict[str, str]) -> Path:
    """A folder whose old truth holds memories, some of them with a history."""
    lines = tmp_path / "lines.jsonl"
    with lines.open("w") as file:
        for number in range(MEMORIES):
            memory = {"coord": [number % (MEMORIES - 100)], "payload": {"text": f"fact {number}"}}
            file.write(json.dumps(memory) + "\n")
    sfm(environment, "store-bulk", str(lines)).communicate()
    return tmp_path


@pytest.mark.long
@pytest.mark.timeout(240)
def test_a_migration_that_is_killed_again_and_again_ends_with_an_exact_copy(
    filled: Path, environment: dict[str, str], pytestconfig: pytest.Config
) -> None:
    assert (filled / "old.db").exists()
    killed = 0
    chances = random.Random(pytestconfig.getoption("--crash-seed"))
    # The first one dies as soon as there is a new truth, the others further on.
    for grown in (0, *(chances.randrange(MOST_BYTES) for _ in range(KILLS))):
        process = sfm(environment, "migrate", OLD, NEW)
        while process.poll() is None and written(filled) <= grown:
            with suppress(subprocess.TimeoutExpired):
                process.wait(0.005)
        killed += process.returncode is None
        process.kill()
        process.communicate()

    done = sfm(environment, "migrate", OLD, NEW, "--json")
    out, err = done.communicate()
    assert done.returncode == 0, err
    assert killed
    assert json.loads(out)["target"] == NEW
    compared = sfm(environment | {"SFM_KV_URL": NEW}, "check", "--against", OLD, "--json")
    difference = json.loads(compared.communicate()[0])
    assert compared.returncode == 0
    assert difference["same"] == MEMORIES - 100


def written(folder: Path) -> int:
    """Return how large the files of the new truth are."""
    size = 0
    for file in folder.glob("new.db*"):
        # Those beside the database itself go when it is closed.
        with suppress(FileNotFoundError):
            size += file.stat().st_size
    return size


def sfm(environment: dict[str, str], *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "sfm_server", *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
