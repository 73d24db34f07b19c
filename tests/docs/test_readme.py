"""What README and tutorial tell a newcomer to type does what they say, on a real server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from sfm_core.testing.loopback import free_port
from tests.readme_blocks import PATIENCE_SECONDS, README, blocks, run_block, walk

BIN = Path(sys.executable).parent
FIRST_STEPS = README.parent / "docs" / "tutorials" / "first-steps.md"


def environment(data: Path) -> dict[str, str]:
    # Settings of the machine that runs the tests must not reach the server under test.
    foreign = ("SFM_", "SOMA_", "MEMORY_MODE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}  # noqa: TID251 - to pass on all but ours
    return {**kept, "SFM_DATA_FOLDER": str(data)}


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
            return True
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def port(tmp_path: Path, folder: Path) -> Iterator[int]:
    port = free_port()
    log = tmp_path / "server.log"
    with log.open("wb") as output:
        command = [str(BIN / "sfm"), "serve", "--port", str(port)]
        server = subprocess.Popen(
            command, env=environment(tmp_path / "data"), cwd=folder, stdout=output, stderr=output
        )
    try:
        end = time.monotonic() + PATIENCE_SECONDS
        while not answers(port):
            assert time.monotonic() < end, log.read_text()
            # The pause between two looks; a server that ends meanwhile will never answer.
            with suppress(subprocess.TimeoutExpired):
                pytest.fail(f"ended with {server.wait(0.1)}: {log.read_text()}")
        yield port
    finally:
        server.terminate()
        server.wait(PATIENCE_SECONDS)


def run(code: str, port: int, folder: Path) -> str:
    """Run a block of the README against the server under test."""
    return run_block(
        code,
        address=f"127.0.0.1:{port}",
        programs=BIN,
        folder=folder,
        environ=environment(folder / "unused"),
    )


@pytest.mark.parametrize("page", [README, FIRST_STEPS], ids=lambda page: page.stem)
def test_the_commands_do_what_the_page_says(port: int, folder: Path, page: Path) -> None:
    walk(lambda code: run(code, port, folder), page)


def test_what_is_imported_is_recalled_with_its_question(port: int, folder: Path) -> None:
    (code,) = [code for language, code in blocks() if language == "sh" and "chat.jsonl" in code]

    output = run(code, port, folder)

    assert "On the first weekend of May." in output


def test_the_python_program_recalls_what_it_stored(folder: Path) -> None:
    (code,) = [code for language, code in blocks() if language == "python"]

    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=folder,
        env=environment(folder / "unused"),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_SECONDS,
    )

    assert done.returncode == 0, done.stderr
    assert "Ada prefers green tea." in done.stdout
