"""Engines with different embedders are killed again and again, and the last one finds all."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest

CHILD = Path(__file__).parent / "switch_child.py"
EMBEDDERS = ("hashing:", "static:")
ROUNDS = 5
ROOM = 10_000
SHORTEST, LONGEST = 0.4, 1.6
"""When processes are killed, in the time that one takes by itself to store something."""


@pytest.mark.long
@pytest.mark.timeout(600)
def test_whatever_was_stored_is_found_after_switches_that_were_killed(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    chances = random.Random(pytestconfig.getoption("--crash-seed"))
    stored, pace = begun(start(tmp_path, EMBEDDERS[0], str(2 * ROUNDS * ROOM)))
    for life in range(ROUNDS):
        children = [
            start(tmp_path, embedder, str((2 * life + place) * ROOM))
            for place, embedder in enumerate(chances.sample(EMBEDDERS, 2))
        ]
        for child in chances.sample(children, 2):
            stored |= killed(child, pace * chances.uniform(SHORTEST, LONGEST))

    for embedder in (*EMBEDDERS, EMBEDDERS[0]):
        out, err = start(tmp_path, embedder, "settle").communicate(timeout=300)
        assert not err, err.decode()
        answer = json.loads(out)
        found = set(answer.pop("found"))
        # Every tenth is deleted after the next was stored, and told with that one.
        assert {number for number in stored if number % 10 != 2} <= found
        assert not {number - 1 for number in stored if number % 10 == 3} & found
        assert answer == {"serving": True, "complete": True, "consistent": True}


def start(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(CHILD), str(folder), *arguments],
        # Nothing that was read ahead is kept from `communicate`.
        bufsize=0,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def begun(child: subprocess.Popen[bytes]) -> tuple[set[int], float]:
    """Kill a process once it has stored something; return what, and how long that took."""
    started = monotonic()
    assert child.stdout
    first = int(child.stdout.readline())
    pace = monotonic() - started
    return {first} | killed(child, 0), pace


def killed(child: subprocess.Popen[bytes], after: float) -> set[int]:
    """Kill a process after some seconds; return the numbers of what it had stored."""
    try:
        out, err = child.communicate(timeout=after)
    except subprocess.TimeoutExpired:
        child.kill()
        out, err = child.communicate()
    assert not err, err.decode()
    return {int(line) for line in out.splitlines(keepends=True) if line.endswith(b"\n")}
