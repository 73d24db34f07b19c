"""Commands with an idempotency key do once what they are told again and again."""

from __future__ import annotations

from pathlib import Path

from test_cli import Call, call, sfm

from sfm_server.cli.exits import Exit

__all__ = ["call", "sfm"]

KEY = ("--idempotency-key", 'a "key" \\ of my own')


def test_a_store_that_is_repeated_with_its_key_is_one(sfm: Call) -> None:
    first = sfm("store", "Anna moved to Oslo.", *KEY, "--json").document
    again = sfm("store", "Anna moved to Oslo.", *KEY, "--json").document
    assert (again["coord"], again["version"]) == (first["coord"], 1)
    other = sfm("store", "Anna moved to Bergen.", *KEY)
    assert other.status == Exit.INVALID
    assert "given to another write" in other.err


def test_links_and_deletions_are_not_done_again(sfm: Call) -> None:
    for coord in ("1", "2"):
        sfm("store", f"memory {coord}", "--coord", coord)
    for _ in range(2):
        assert sfm("link", "1", "2", "--idempotency-key", "link").status == 0
        assert sfm("unlink", "1", "2", "--idempotency-key", "unlink").status == 0
        assert sfm("delete", "1", "--idempotency-key", "delete").status == 0
        sfm("store", "memory 1", "--coord", "1", "--idempotency-key", "store")
    assert sfm("neighbors", "1").out == "None.\n"
    assert sfm("get", "1").status == 0


def test_files_are_taken_in_once(sfm: Call, tmp_path: Path) -> None:
    file = tmp_path / "memories.jsonl"
    file.write_text("".join(f'{{"coord": [{n}], "payload": {{"n": {n}}}}}\n' for n in range(600)))
    coords = tmp_path / "coords"
    coords.write_text("".join(f"{n}\n" for n in range(550)))
    for _ in range(2):
        assert sfm("store-bulk", str(file), *KEY).out == "Stored 600 memories.\n"
        gone = sfm("delete-many", "--file", str(coords), "--idempotency-key", "delete")
        assert gone.out == "Deleted 550.\n"
        assert sfm("stats", "--json").document["total_memories"] == 50
    for _ in range(2):
        assert sfm("import", str(file), "--idempotency-key", "import").status == 0
    assert sfm("stats", "--json").document["total_memories"] == 600


def test_a_text_that_is_no_key_is_refused(sfm: Call) -> None:
    assert sfm("store", "x", "--idempotency-key", "caf\u00e9").status == Exit.INVALID
