from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import pytest
from fix_serving import TOKEN, Server

from sfm_core.testing.loopback import free_port
from sfm_server.cli.exits import Exit
from sfm_server.cli.main import COMMANDS, run


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, object]:
        document: dict[str, object] = json.loads(self.out)
        return document


Call = Callable[..., Said]


@pytest.fixture
def call(capfd: pytest.CaptureFixture[str]) -> Call:
    def caller(*arguments: str) -> Said:
        status = run(arguments)
        out, err = capfd.readouterr()
        return Said(int(status), out, err)

    return caller


@pytest.fixture(params=["folder", "server"])
def sfm(request: pytest.FixtureRequest, call: Call, tmp_path: Path) -> Call:
    """Calls a command on a folder or on a server, in a namespace of the test's own."""
    if request.param == "folder":
        where = ["--data", str(tmp_path / "data"), "-n", tmp_path.name]
    else:
        server: Server = request.getfixturevalue("server")
        where = ["--url", server.url, "--token", TOKEN, "-n", tmp_path.name]

    def caller(command: str, *arguments: str) -> Said:
        return call(command, *where, *arguments)

    return caller


@pytest.mark.smoke
def test_a_stored_memory_is_read_recalled_and_deleted(sfm: Call) -> None:
    stored = sfm("store", "Anna moved to Oslo.", "--coord", "-1,2", "--json")
    assert (stored.status, stored.document["coord"]) == (0, "-1,2")
    assert sfm("get", "-1,2", "--json").document["payload"] == {"text": "Anna moved to Oslo."}
    assert "Anna moved to Oslo." in sfm("recall", "Where does Anna live?", "--explain").out
    assert sfm("delete", "-1,2").status == 0
    assert sfm("get", "-1,2").status == Exit.NOT_FOUND


def test_without_a_coordinate_the_memory_chooses_one(sfm: Call) -> None:
    stored = sfm("store", '{"a": 1}', "--json").document
    assert sfm("get", str(stored["coord"]), "--json").document["payload"] == {"a": 1}


def test_history_shows_each_version(sfm: Call) -> None:
    sfm("store", "one", "--coord", "1")
    sfm("store", "two", "--coord", "1")
    assert [line[-3:] for line in sfm("history", "1").out.splitlines()] == ["two", "one"]


def test_links_lead_from_memory_to_memory(sfm: Call) -> None:
    for coord in ("1", "2", "3"):
        sfm("store", f"memory {coord}", "--coord", coord)
    sfm("link", "1", "2", "--weight", "0.5")
    sfm("link", "2", "3")
    assert sfm("path", "1", "3").out == "1 -> 2 -> 3\n"
    assert sfm("neighbors", "1", "--json").document["neighbors"][0][0] == "2"  # type: ignore[index]
    assert "related" in sfm("neighbors", "2", "--direction", "in").out
    assert sfm("unlink", "1", "2").status == 0
    assert sfm("unlink", "1", "2").status == Exit.NOT_FOUND
    assert sfm("path", "1", "3").out == "No path leads there.\n"


def test_questions_wait_for_what_writes_have_answered(sfm: Call) -> None:
    whale = sfm("store", "A whale.", "--coord", "1", "--json").document
    fox = sfm("store", "A fox.", "--coord", "2", "--json").document
    linked = sfm("link", "1", "2", "--json").document
    both = f"{whale['position']},{fox['position']}"
    answer = sfm("recall", "whale", "--min-position", both, "--json").document
    assert answer["stale"] is False
    position = str(linked["position"])
    near = sfm("neighbors", "1", "--min-position", position, "--json").document
    path = sfm("path", "1", "2", "--min-position", position, "--json").document
    assert (near["stale"], path["stale"], path["path"]) == (False, False, ["1", "2"])
    assert sfm("unlink", "1", "2", "--json").document["position"]
    assert sfm("delete", "1", "--json").document["position"]
    assert sfm("delete-many", "2", "--json").document["position"]


def test_a_position_that_was_made_up_is_refused(sfm: Call) -> None:
    refused = sfm("recall", "whale", "--min-position", "x", "--json")
    assert refused.status == Exit.INVALID
    assert "min_position" in refused.err


def test_range_and_delete_many_work_on_what_is_there(sfm: Call, tmp_path: Path) -> None:
    for coord in ("0,0", "1,1", "-5,2"):
        sfm("store", "x", "--coord", coord)
    assert sfm("range", "-5,0", "1,2").out.split() == ["-5,2", "0,0", "1,1"]
    listed = tmp_path / "coords"
    listed.write_text("0,0\n9,9\n")
    assert sfm("delete-many", "-5,2", "--file", str(listed)).out == "Deleted 2.\n"


def test_upkeep_finds_everything_in_order(sfm: Call) -> None:
    sfm("store", "one", "--coord", "1")
    assert "entries" in sfm("rebuild").out
    assert sfm("check", "--json").status == 0
    assert sfm("doctor").status == 0


def test_an_invalid_coordinate_is_one_line_with_a_remedy(sfm: Call) -> None:
    said = sfm("get", "one,two")
    assert said.status == Exit.INVALID
    assert said.err.count("\n") == 1
    assert '"1.5,2,-3"' in said.err


def test_a_conflict_has_its_own_status(sfm: Call) -> None:
    sfm("store", "one", "--coord", "1")
    assert sfm("store", "x", "--coord", "1", "--expected-version", "9").status == Exit.CONFLICT


def test_an_unknown_filter_is_refused(sfm: Call) -> None:
    assert sfm("recall", "x", "--filters", '{"a": {"$no": 1}}').status == Exit.INVALID


def test_errors_are_json_too(sfm: Call) -> None:
    error = json.loads(sfm("get", "77", "--json").err)["error"]
    assert error["code"] == "not-found"


def test_a_server_that_is_not_there_is_unavailable(call: Call) -> None:
    said = call("stats", "--url", f"http://127.0.0.1:{free_port()}")
    assert said.status == Exit.UNAVAILABLE
    assert "does not answer" in said.err


def test_a_wrong_token_is_told(call: Call, server: Server) -> None:
    said = call("stats", "--url", server.url, "--token", "wrong")
    assert said.status == Exit.FAILED
    assert "SOMA_API_TOKEN" in said.err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["nope"], Exit.INVALID),
        (["recall"], Exit.INVALID),
        (["recall", "x", "--top-k", "0"], Exit.INVALID),
        (["stats", "--url", "localhost"], Exit.CONFIGURATION),
        (["stats", "--url", "http://localhost:1", "--data", "x"], Exit.CONFIGURATION),
        (["import", "no-such-file"], Exit.INVALID),
        (["store", '{"a"'], Exit.INVALID),
    ],
)
def test_mistakes_on_the_command_line_have_a_status(
    call: Call, arguments: list[str], status: int
) -> None:
    said = call(*arguments)
    assert said.status == status
    assert said.err
    assert "Traceback" not in said.err


def test_config_shows_values_and_where_they_came_from(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SFM_MAX_BATCH", "77")
    listed: list[dict[str, str]] = json.loads(call("config", "--json").out)
    found = {one["variable"]: (one["value"], one["origin"]) for one in listed}
    assert found["SFM_MAX_BATCH"] == ("77", "environment")
    assert "SFM_MAX_BATCH" in call("config").out


def test_plugins_shows_what_is_chosen(call: Call) -> None:
    plugins: list[dict[str, list[dict[str, str]]]] = json.loads(call("plugins", "--json").out)
    chosen = {
        (backend["port"], backend["scheme"])
        for plugin in plugins
        for backend in plugin["backends"]
        if backend["selected"]
    }
    assert {("kv", "sqlite"), ("vector", "sqlite"), ("graph", "sqlite")} <= chosen
    assert "sqlite:" in call("plugins").out


def test_a_file_that_cannot_be_written_is_one_line(call: Call, tmp_path: Path) -> None:
    said = call("export", str(tmp_path / "missing" / "file"), "--data", str(tmp_path / "data"))
    assert said.status == Exit.FAILED
    assert said.err.count("\n") == 1


def test_doctor_names_what_is_wrong(call: Call, tmp_path: Path) -> None:
    file = tmp_path / "a-file"
    file.write_text("")
    said = call("doctor", "--data", str(file / "data"))
    assert said.status == Exit.FOUND_PROBLEMS
    assert "failed" in said.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(call: Call, command: str) -> None:
    said = call(command, "--help")
    assert said.status == 0
    assert "--json" in said.out


def test_the_installed_program_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sfm_server", "stats", "--json", "--data", str(tmp_path)],
        capture_output=True,
        check=True,
        timeout=120,
    )
    assert json.loads(done.stdout)["total_memories"] == 0
    assert done.stderr == b""


def test_what_the_program_keeps_only_its_user_can_read(tmp_path: Path) -> None:
    where = ["--data", str(tmp_path / "data")]
    command = [sys.executable, "-m", "sfm_server", "store", "a secret", *where]
    subprocess.run(command, capture_output=True, check=True, timeout=120)
    made = [tmp_path / "data", *(tmp_path / "data").rglob("*")]
    assert any(path.suffix == ".db" for path in made)
    assert [path for path in made if path.stat().st_mode & 0o077] == []


def test_collections_are_listed(sfm: Call) -> None:
    sfm("store", "a whale")
    listed = cast("list[dict[str, str]]", sfm("collections", "--json").document["collections"])
    assert [one["role"] for one in listed] == ["serving"]
    assert "serving" in sfm("collections").out
    assert sfm("collections", "--drop", listed[0]["name"]).status == Exit.INVALID
    assert sfm("collections", "--drop", "nobody").status == Exit.NOT_FOUND


def test_another_embedder_is_gone_over_to_by_a_rebuild_and_by_nothing_else(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ("--data", str(tmp_path / "data"))

    def roles() -> dict[str, str]:
        document = call("collections", "--json", *where).document
        listed = cast("list[dict[str, str]]", document["collections"])
        return {one["embedder"]: one["role"] for one in listed}

    call("store", "a whale", *where)
    before = roles()
    monkeypatch.setenv("SFM_EMBEDDER_URL", "hashing:")
    assert "a whale" in call("recall", "whale", *where).out
    assert roles() == before
    assert "sfm rebuild" in call("doctor", *where).out
    assert call("rebuild", *where).status == 0
    assert roles() == {**dict.fromkeys(before, "kept"), "hashing:": "serving"}
    assert "a whale" in call("recall", "whale", *where).out
    kept = call("doctor", *where).out
    assert "frees its space" in kept
    name = kept.split("--drop ")[1].split("`")[0]
    assert call("collections", "--drop", name, *where).status == 0
    assert roles() == {"hashing:": "serving"}


def test_recall_tells_what_was_there_then(sfm: Call) -> None:
    sfm("store", '{"text": "a whale in the bay"}', "--coord", "1")
    then = sfm("get", "1", "--json").document["updated_at"]
    sfm("store", '{"text": "the whale has left"}', "--coord", "1")
    assert "in the bay" in sfm("recall", "whale", "--as-of", str(then)).out
    assert "has left" in sfm("recall", "whale").out
