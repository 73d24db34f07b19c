"""The store keeps the promises of its port."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from sfm_core.plugins import load_plugins
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import BackendContext, PortName, Registration
from sfm_core.testing.clock import ManualClock
from sfm_core.testing.contracts import CapabilityContract, VectorStoreContract
from sfm_core.testing.faults import Fault
from sfm_core.testing.machines import check_vector_store
from sfm_core.testing.ordeals import undergo
from sfm_vector_lancedb.plugin import create
from sfm_vector_lancedb.store import LanceVectorStore


class TestLanceVectorStore(VectorStoreContract):
    shared = False

    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], LanceVectorStore]:
        context = BackendContext(data_folder=tmp_path)
        return lambda: create("lancedb:", context)


class TestLanceCapabilities(CapabilityContract):
    @pytest.fixture
    def registration(self) -> Registration[Backend]:
        return load_plugins().registry.find(PortName.VECTOR, "lancedb:")

    @pytest.fixture
    def url(self) -> str:
        return "lancedb:"


def test_it_is_like_the_model(tmp_path_factory: pytest.TempPathFactory) -> None:
    def fresh(_: ManualClock) -> Callable[[], LanceVectorStore]:
        context = BackendContext(data_folder=tmp_path_factory.mktemp("lance"))
        return lambda: create("lancedb:", context)

    check_vector_store(fresh, settings(max_examples=8, stateful_step_count=15, deadline=None))


@pytest.mark.parametrize("fault", Fault)
async def test_an_engine_on_it_keeps_its_word(fault: Fault, tmp_path: Path) -> None:
    context = BackendContext(data_folder=tmp_path)
    makers = {PortName.VECTOR: lambda: create("lancedb:", context)}
    await undergo(PortName.VECTOR, fault, makers)
