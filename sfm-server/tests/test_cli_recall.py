"""What `sfm recall` says beside its answer."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import numpy as np
import pytest
from numpy.typing import NDArray
from test_cli import Call, call

from sfm_core.inprocess import HashingEmbedder
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


def test_a_deadline_begins_when_the_memory_is_open(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = ["--data", str(tmp_path / "data")]
    monkeypatch.setenv("SFM_EMBEDDER_URL", "hashing:")
    call("store", *where, "A whale in the bay.")
    embed = HashingEmbedder.embed

    async def load_for_an_hour(self: HashingEmbedder, texts: Sequence[str]) -> NDArray[np.float32]:
        monkeypatch.setattr(HashingEmbedder, "embed", embed)
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: monotonic() + 3600)
        return await embed(self, texts)

    monkeypatch.setattr(HashingEmbedder, "embed", load_for_an_hour)
    said = call("recall", *where, "whale", "--deadline-ms", "50000", "--json")
    assert said.document["left_out"] == {}
    assert HashingEmbedder.embed is embed


def test_a_deadline_that_is_not_kept_is_told_in_round_numbers(call: Call, tmp_path: Path) -> None:
    said = call("recall", "--data", str(tmp_path / "data"), "whale", "--deadline-ms", "1")
    assert said.status in {Exit.OK, Exit.UNAVAILABLE}
    assert not re.search(r"\d\.\d{6}", said.err)
