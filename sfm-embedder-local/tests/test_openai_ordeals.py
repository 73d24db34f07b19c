"""Engines keep their word on an embedder that asks a service, whatever goes wrong with a call."""

from __future__ import annotations

import pytest
from openai_service import DIMENSION, PatientClock, Service

from sfm_core.registry import PortName
from sfm_core.testing.faults import Fault
from sfm_core.testing.ordeals import undergo
from sfm_embedder_local.openai import OpenAiEmbedder
from sfm_embedder_local.settings import OpenAiSettings


@pytest.mark.parametrize("fault", Fault)
async def test_an_engine_keeps_its_word(fault: Fault, service: Service) -> None:
    settings = OpenAiSettings(endpoint=service.url, model="m", dimension=DIMENSION)
    makers = {PortName.EMBEDDER: lambda: OpenAiEmbedder(settings, PatientClock())}
    await undergo(PortName.EMBEDDER, fault, makers)
