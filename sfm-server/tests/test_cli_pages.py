"""Commands that list go on page by page, on a folder as on a server."""

from __future__ import annotations

import pytest
from test_cli import Call, call, sfm

from sfm_server.cli.exits import Exit

__all__ = ["call", "sfm"]

LISTINGS = {
    "range": (("0", "9"), "coords"),
    "history": (("1",), "versions"),
    "neighbors": (("1",), "neighbors"),
}


@pytest.mark.parametrize("name", LISTINGS)
def test_pages_make_up_the_whole(sfm: Call, name: str) -> None:
    for number in ("1", "2", "3"):
        sfm("store", f"memory {number}", "--coord", number)
        sfm("store", f"version {number}", "--coord", "1")
        sfm("link", "1", number)
    arguments, members = LISTINGS[name]
    whole = sfm(name, *arguments, "--json").document
    assert "next_cursor" not in whole
    found: list[object] = []
    more: tuple[str, ...] = ()
    while True:
        page = sfm(name, *arguments, "--limit", "2", *more, "--json").document
        entries = page[members]
        assert isinstance(entries, list)
        found += entries
        if "next_cursor" not in page:
            break
        more = ("--cursor", str(page["next_cursor"]))
    assert found == whole[members]
    assert sfm(name, *arguments, "--cursor", "x").status == Exit.INVALID


def test_what_was_can_be_looked_at(sfm: Call) -> None:
    sfm("store", "one", "--coord", "1")
    moment = str(sfm("get", "1", "--json").document["updated_at"])
    sfm("delete", "1")
    then = ("--as-of", moment)
    assert sfm("get", "1", *then, "--json").document["payload"] == {"text": "one"}
    assert sfm("range", "0", "9", *then).out == "1\n"
    assert sfm("get", "1", "--as-of", "yesterday").status == Exit.INVALID
