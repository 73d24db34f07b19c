"""Engines keep their word on SQLite, whatever goes wrong with a call."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlite_helpers import open_graph, open_kv, open_vector

from sfm_core.registry import PortName
from sfm_core.testing.faults import Fault
from sfm_core.testing.ordeals import undergo


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("port", [PortName.KV, PortName.VECTOR, PortName.GRAPH])
async def test_an_engine_keeps_its_word(port: PortName, fault: Fault, tmp_path: Path) -> None:
    makers = {
        PortName.KV: lambda: open_kv(tmp_path),
        PortName.VECTOR: lambda: open_vector(tmp_path),
        PortName.GRAPH: lambda: open_graph(tmp_path),
    }
    await undergo(port, fault, makers)
