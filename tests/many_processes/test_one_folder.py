from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.fix_engine import OpenEmbedded

WRITER = Path(__file__).parent / "writer.py"
WRITERS = 8
WRITES = 500


@pytest.fixture
def children() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def start(children: ExitStack, folder: Path, writer: int) -> subprocess.Popen[str]:
    arguments = [str(folder), str(writer), str(WRITERS), str(WRITES)]
    process = subprocess.Popen(
        [sys.executable, str(WRITER), *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    children.enter_context(process)
    children.callback(process.kill)
    return process


def finish(process: subprocess.Popen[str]) -> dict[str, object]:
    out, errors = process.communicate("go on\n", timeout=120)
    assert process.returncode == 0, errors
    assert errors == ""
    found: dict[str, object] = json.loads(out)
    return found


@pytest.mark.timeout(240)
async def test_processes_that_share_a_folder_lose_nothing_and_see_each_other(
    tmp_path: Path, open_embedded: OpenEmbedded, children: ExitStack
) -> None:
    processes = [start(children, tmp_path, writer) for writer in range(WRITERS)]
    for process in processes:
        assert process.stdout
        if process.stdout.readline() != "written\n":
            pytest.fail(process.communicate(timeout=60)[1])

    answers = [finish(process) for process in processes]

    everyone = list(range(WRITERS))
    expected = {"total": WRITERS * WRITES, "first": everyone, "last": everyone}
    assert answers == [expected] * WRITERS
    async with open_embedded(tmp_path) as engine:
        report = await engine.check()
        assert (report.memories, report.consistent) == (WRITERS * WRITES, True)
