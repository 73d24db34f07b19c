from __future__ import annotations

import json
from pathlib import Path

import pytest
from fix_serving import TOKEN, Server

from sfm_server.cli.main import run


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
