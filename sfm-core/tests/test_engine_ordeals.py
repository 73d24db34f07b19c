"""Engines keep their word whichever port misbehaves, and however."""

from __future__ import annotations

import pytest

from sfm_core.registry import ENGINE_PORTS, PortName
from sfm_core.testing.faults import Fault
from sfm_core.testing.ordeals import undergo


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("fault", Fault)
@pytest.mark.parametrize("port", ENGINE_PORTS)
async def test_an_engine_keeps_its_word(port: PortName, fault: Fault, seed: int) -> None:
    await undergo(port, fault, seed=seed)
