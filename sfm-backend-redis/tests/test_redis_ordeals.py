"""Engines keep their word on Redis, whatever goes wrong with a call."""

from __future__ import annotations

import pytest
from redis_helpers import open_cache, open_graph, open_kv

from sfm_core.registry import PortName
from sfm_core.testing.faults import Fault
from sfm_core.testing.ordeals import undergo


@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("port", [PortName.KV, PortName.GRAPH, PortName.CACHE])
async def test_an_engine_keeps_its_word(port: PortName, fault: Fault, redis_url: str) -> None:
    makers = {
        PortName.KV: lambda: open_kv(redis_url),
        PortName.GRAPH: lambda: open_graph(redis_url),
        PortName.CACHE: lambda: open_cache(redis_url),
    }
    await undergo(port, fault, makers)
