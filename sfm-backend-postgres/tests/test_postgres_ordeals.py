"""Engines keep their word on PostgreSQL, whatever goes wrong with a call."""

from __future__ import annotations

import pytest
from postgres_helpers import open_graph, open_kv, open_vector

from sfm_core.registry import PortName
from sfm_core.testing.faults import Fault
from sfm_core.testing.ordeals import undergo


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("port", [PortName.KV, PortName.VECTOR, PortName.GRAPH])
async def test_an_engine_keeps_its_word(port: PortName, fault: Fault, database_url: str) -> None:
    makers = {
        PortName.KV: lambda: open_kv(database_url),
        PortName.VECTOR: lambda: open_vector(database_url),
        PortName.GRAPH: lambda: open_graph(database_url),
    }
    await undergo(port, fault, makers)
