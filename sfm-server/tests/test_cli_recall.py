"""What `sfm recall` says beside its answer."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from test_cli import Call, call

from sfm_server.cli.exits import Exit

__all__ = ["call"]


def test_recall_says_on_standard_error_that_the_index_is_still_built(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ["--data", str(tmp_path / "data")]
    call("store", *where, "A whale in the bay.")
    assert "incomplete" not in call("recall", *where, "whale", "--json").document
    monkeypatch.setenv("SFM_VECTOR_URL", "memory:")
    said = call("recall", *where, "whale", "--json")
    assert said.document["incomplete"] is True
    assert said.err == "The index is still being built: memories may be missing.\n"


def test_a_deadline_begins_when_the_memory_is_open(call: Call, tmp_path: Path) -> None:
    where = ["--data", str(tmp_path / "data")]
    call("store", *where, "A whale in the bay.")
    said = call("recall", *where, "whale", "--deadline-ms", "600", "--json")
    assert said.document["left_out"] == {}


def test_a_deadline_that_is_not_kept_is_told_in_round_numbers(call: Call, tmp_path: Path) -> None:
    said = call("recall", "--data", str(tmp_path / "data"), "whale", "--deadline-ms", "1")
    assert said.status in {Exit.OK, Exit.UNAVAILABLE}
    assert not re.search(r"\d\.\d{6}", said.err)
