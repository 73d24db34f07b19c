"""Every test that the page about guarantees names is there."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "guarantees.md"
NAMED = re.compile(r"(?P<words>[a-z][\w ]+) \(`(?P<file>\w+\.py)`\)")
FOLDERS = ("tests", "sfm-*/tests", "sfm-core/src/sfm_core/testing/contracts")


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names of the tests in all files of this name, in words."""
    found = [path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/{file}")]
    names = [
        name
        for path in found
        for name in re.findall(r"def test_(\w+)\(", path.read_text(encoding="utf-8"))
    ]
    return frozenset(name.replace("_", " ") for name in names)


def named() -> list[tuple[str, str]]:
    return [(one["words"], one["file"]) for one in NAMED.finditer(PAGE.read_text(encoding="utf-8"))]


def test_every_test_that_is_named_exists() -> None:
    assert named()
    missing = [(words, file) for words, file in named() if words.strip() not in names_in(file)]
    assert missing == []


def test_every_row_names_a_test_or_says_that_there_is_none() -> None:
    rows = [
        line
        for line in PAGE.read_text(encoding="utf-8").splitlines()
        if line.startswith("| ") and not line.startswith("| failure ")
    ]
    assert rows
    assert [row for row in rows if not NAMED.search(row) and "not tested" not in row] == []
