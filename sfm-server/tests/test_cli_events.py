from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from fix_serving import TOKEN, Server

from sfm_server.cli.main import run

# What runs in the background inherits that interrupts are ignored.
AS_IN_A_TERMINAL = """
import runpy, signal
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module("sfm_server", run_name="__main__")
"""


@pytest.fixture(params=["folder", "server"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Options that lead to a memory: on a folder, or on a server."""
    if request.param == "folder":
        return ["--data", str(tmp_path / "data")]
    server: Server = request.getfixturevalue("server")
    return ["--url", server.url, "--token", TOKEN]


def test_a_replay_tells_of_one_namespace_or_of_all(
    where: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in (tmp_path.name, f"other-{tmp_path.name}"):
        assert run(["store", "a note", "--coord", "1", *where, "-n", name]) == 0
    capfd.readouterr()

    replay = ["events", "replay", "--from", "2000-01-01", "--dry-run", "--json", *where]
    assert run([*replay, "-n", tmp_path.name]) == 0
    one = json.loads(capfd.readouterr().out)
    assert run(replay) == 0
    everything = json.loads(capfd.readouterr().out)

    assert one == {"events": 1, "memories": 1, "links": 0}
    assert everything["events"] >= 2


def test_a_replay_says_what_it_told(where: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["events", "replay", "--from", "2999-01-01T00:00:00Z", *where]) == 0
    assert capfd.readouterr().out == "Told again 0 events: 0 of memories, 0 of links.\n"


def test_what_is_no_time_is_refused(where: list[str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["events", "replay", "--from", "noon", *where]) == 2
    assert "2026-02-03T04:05:06Z" in capfd.readouterr().err


def test_tail_shows_what_the_log_holds_and_where_to_go_on(
    where: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    where = [*where, "-n", tmp_path.name]
    for text in ("tea", "more tea"):
        run(["store", text, "--coord", "1,2", *where])
    run(["link", "1,2", "1,2", *where])
    capfd.readouterr()

    assert run(["events", "tail", "--after", "start", "--until-now", *where]) == 0
    shown = capfd.readouterr()
    assert [line.split("  ")[1:] for line in shown.out.splitlines()] == [
        ["memory.stored", "1,2", "v1", "tea"],
        ["memory.stored", "1,2", "v2", "more tea"],
        ["link.stored", "1,2>related>1,2", "v1"],
    ]
    position = shown.err.split("--after ")[1].strip()

    run(["delete", "1,2", *where])
    capfd.readouterr()
    again = ["events", "tail", "--after", position, "--until-now", "--json", *where]
    assert run([*again, "--type", "memory.deleted"]) == 0
    [document] = map(json.loads, capfd.readouterr().out.splitlines())
    assert (document["type"], document["version"]) == ("memory.deleted", 3)


def test_tail_of_a_position_of_another_truth_is_one_line(
    where: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    other = ["--data", str(tmp_path / "other")]
    run(["events", "tail", "--until-now", *other])
    position = capfd.readouterr().err.split("--after ")[1].strip()
    assert run(["events", "tail", "--after", position, "--until-now", *where]) == 7
    assert capfd.readouterr().err.startswith("sfm: The position is of another truth")


def test_tail_goes_on_until_it_is_interrupted(tmp_path: Path) -> None:
    data = ["--data", str(tmp_path / "data")]
    run(["store", "before", "--coord", "1", *data])
    command = [sys.executable, "-c", AS_IN_A_TERMINAL, "events", "tail", "--after", "start", *data]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert b"before" in process.stdout.readline()
            run(["store", "meanwhile", "--coord", "2", *data])
            assert b"meanwhile" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=120)
        finally:
            process.kill()
    assert process.returncode == 130
    assert b"Go on with --after " in errors
    assert b"Traceback" not in errors
