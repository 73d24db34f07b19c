"""The tables of the page about growing are those that the command prints."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.capacity import MACHINE, PRICES, SIZES, tables
from sfm_backend_qdrant._urls import parse_url

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "explanation" / "scale.md").read_text(encoding="utf-8")
TABLES = list(tables(json.loads(SIZES.read_text(encoding="utf-8"))))


@pytest.mark.parametrize("table", TABLES, ids=["measured", "needed", "limits"])
def test_a_table_is_what_the_command_prints(table: Sequence[str]) -> None:
    remedy = "python -m benchmarks.capacity prints it."
    assert "\n".join(table) in TEXT, remedy


def test_the_assumptions_are_those_of_the_command() -> None:
    assert f"${PRICES.disk_gb:.2f} a month for a gigabyte of SSD" in TEXT
    assert f"${PRICES.memory_gb:.2f} for one of main memory" in TEXT
    machine = f"{MACHINE.memory_gb:.0f} GB of main memory and {MACHINE.disk_gb / 1000:.0f} TB of"
    assert machine in TEXT


def test_the_url_of_a_cluster_is_one() -> None:
    [url] = re.findall(r"SFM_VECTOR_URL='([^']+)'", TEXT)
    settings = parse_url(url, Path("/data"), {"QDRANT_API_KEY": "key"})
    assert (settings.shards, settings.replicas) == (12, 2)
