"""Commands that move many memories in or out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_cli import Call, call, sfm

from sfm_server.cli.exits import Exit

__all__ = ["call", "sfm"]


def test_an_export_comes_back_by_import(sfm: Call, tmp_path: Path) -> None:
    sfm("store", "one", "--coord", "1")
    sfm("store", "two", "--coord", "2")
    sfm("link", "1", "2")
    file = tmp_path / "export.jsonl"
    assert sfm("export", str(file), "--only", tmp_path.name).status == 0
    sfm("delete-many", "1", "2")
    assert sfm("import", str(file), "--json").document == {
        "imported": 2,
        "links": 1,
        "failed": 0,
        "errors": [],
        "expired": 0,
        "passed_over": 0,
    }
    assert sfm("stats", "--json").document["total_memories"] == 2


def test_an_import_tells_what_has_expired(sfm: Call, tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text('{"coord": [2], "payload": {}, "expires_at": "2020-01-01T00:00:00Z"}')
    told = sfm("import", str(file)).out
    assert told.endswith("Left out, since their time is over: 1 memories, and 0 links.\n")


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.jsonl.gz", ()), ("a.jsonl.zst", ()), ("a", ("--compress", "zstd"))],
)
def test_a_packed_export_comes_back_by_import(
    sfm: Call, tmp_path: Path, name: str, options: tuple[str, ...]
) -> None:
    sfm("store", "one", "--coord", "1")
    file = tmp_path / name
    told = sfm("export", str(file), "--only", tmp_path.name, *options, "--json").document
    assert (told["memories"], told["links"], told["exported"]) == (1, 0, 1)
    assert len(str(told["sha256"])) == 64
    assert not file.read_bytes().startswith(b"{")
    sfm("delete", "1")
    assert sfm("import", str(file), "--json").document["imported"] == 1


def test_an_import_of_all_or_nothing_stores_nothing_where_a_line_is_bad(
    sfm: Call, tmp_path: Path
) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_text('{"coord": "1", "payload": {}}\nnot json\n')
    refused = sfm("import", str(file), "--atomic")
    assert refused.status == Exit.INVALID
    assert "Line 2" in refused.err
    tried = sfm("import", str(file), "--dry-run")
    assert tried.status == Exit.FOUND_PROBLEMS
    assert "Acceptable are 1 memories and 0 links." in tried.out
    assert sfm("stats", "--json").document["total_memories"] == 0


def test_an_import_tells_bad_lines_and_goes_on(sfm: Call, tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_bytes(
        b'{"coord":[1,1],"payload":{"text":"a"}}\n\xff\xfe\n\n{"coord":"1,2","payload":{}}\n'
    )
    said = sfm("import", str(file))
    assert said.status == Exit.FOUND_PROBLEMS
    assert said.out.startswith("Imported 2 memories")
    assert "Line 2:" in said.out


def test_store_bulk_stores_every_line(sfm: Call, tmp_path: Path) -> None:
    file = tmp_path / "bulk.jsonl"
    lines = [json.dumps({"coord": str(n), "payload": {"n": n}}) for n in range(1200)]
    file.write_text("\n".join(lines))
    stored = sfm("store-bulk", str(file), "--json").document
    assert stored["stored"] == 1200
    answer = sfm("recall", "x", "--min-position", str(stored["position"]), "--json")
    assert answer.document["stale"] is False
    assert sfm("stats", "--json").document["total_memories"] == 1200
