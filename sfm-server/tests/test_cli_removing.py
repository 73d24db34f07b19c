"""The commands that remove memories, on a folder and on a server."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_cli import Call, call, sfm

from sfm_server.cli.exits import Exit

__all__ = ["call", "sfm"]


def test_delete_many_deletes_what_a_filter_picks(sfm: Call) -> None:
    for coord, color in (("1", "red"), ("2", "blue"), ("3", "red")):
        sfm("store", f'{{"color": "{color}"}}', "--coord", coord)
    picked = ("delete-many", "--filters", '{"color": "red"}')
    assert sfm(*picked, "--dry-run").out.split("\n")[:3] == ["Would delete 2.", "1", "3"]
    once = (*picked, "--idempotency-key", "k")
    assert sfm(*once).out == "Deleted 2.\n"
    sfm("store", '{"color": "red"}', "--coord", "4")
    assert sfm(*once).out == "Deleted 2.\n"
    assert sfm("range", "0", "9").out == "2\n4\n"
    assert sfm(*picked, "2").status == Exit.INVALID


def test_forget_removes_for_good_and_reports_on_each_store(sfm: Call) -> None:
    sfm("store", "a secret", "--coord", "1,2")
    sfm("store", "another", "--coord", "-3")
    told = sfm("forget", "1,2", "-3")
    assert told.status == Exit.OK
    assert told.out.startswith("Forgot 2.")
    assert "backups" in told.out
    said = sfm("forget", "1,2", "--json").document
    assert (said["deleted"], said["pending"]) == (0, False)
    assert sfm("history", "1,2").status == Exit.NOT_FOUND


def test_forget_wants_to_be_told_what(sfm: Call) -> None:
    assert sfm("forget").status == Exit.INVALID
    assert sfm("forget", "1", "--type", "semantic").status == Exit.INVALID
    assert sfm("forget", "--filters", "{}").status == Exit.INVALID


@pytest.mark.parametrize("command", ["forget", "delete-many"])
def test_one_line_that_is_no_coordinate_keeps_all_from_being_removed(
    sfm: Call, tmp_path: Path, command: str
) -> None:
    named = tmp_path / "coords.txt"
    named.write_text("1,2\n\noops\n")
    sfm("store", "Anna moved to Oslo.", "--coord", "1,2")
    refused = sfm(command, "--file", str(named), "--json")
    assert refused.status == Exit.INVALID
    assert f"line 3 of {named} 'oops'" in refused.err
    assert sfm("get", "1,2").status == Exit.OK


def test_delete_many_wants_to_be_told_what(sfm: Call) -> None:
    said = sfm("delete-many")
    assert said.status == Exit.INVALID
    assert "--filters" in said.err


def test_forgetting_what_a_filter_does_not_pick_tells_of_no_store(sfm: Call) -> None:
    assert sfm("forget", "--filters", '{"a": 99}').out == "Forgot 0.\n"


def test_forget_takes_what_a_filter_picks(sfm: Call) -> None:
    for coord, who in (("1", "anna"), ("2", "ben"), ("3", "anna")):
        sfm("store", f'{{"who": "{who}"}}', "--coord", coord)
    told = sfm("forget", "--filters", '{"who": "anna"}', "--json").document
    assert (told["deleted"], told["pending"]) == (2, False)
    assert sfm("range", "0", "9").out == "2\n"
    assert sfm("history", "3").status == Exit.NOT_FOUND
