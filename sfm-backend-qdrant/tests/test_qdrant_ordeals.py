"""Engines keep their word on Qdrant, whatever goes wrong with a call."""

from __future__ import annotations

from pathlib import Path

import pytest
from fix_qdrant import Server

from sfm_backend_qdrant.plugin import create_vector
from sfm_core.registry import BackendContext, PortName
from sfm_core.testing.faults import Fault
from sfm_core.testing.ordeals import undergo


@pytest.mark.parametrize("fault", Fault)
async def test_an_engine_keeps_its_word_on_a_folder(fault: Fault, tmp_path: Path) -> None:
    context = BackendContext(data_folder=tmp_path)
    makers = {PortName.VECTOR: lambda: create_vector("qdrant+local:points", context)}
    await undergo(PortName.VECTOR, fault, makers)


@pytest.mark.parametrize("fault", Fault)
async def test_an_engine_keeps_its_word_on_an_engine_of_its_own(
    fault: Fault, fast_folder: Path
) -> None:
    context = BackendContext(data_folder=fast_folder)
    makers = {PortName.VECTOR: lambda: create_vector("qdrant+edge:points", context)}
    await undergo(PortName.VECTOR, fault, makers)


@pytest.mark.parametrize("fault", Fault)
async def test_an_engine_keeps_its_word_on_a_server(fault: Fault, qdrant_server: Server) -> None:
    url = qdrant_server.url()
    makers = {PortName.VECTOR: lambda: create_vector(url, qdrant_server.context)}
    await undergo(PortName.VECTOR, fault, makers)
