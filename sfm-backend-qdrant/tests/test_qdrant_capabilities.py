"""What the Qdrant backends say of themselves is so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sfm_core.plugins import load_plugins
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import BackendContext, PortName, Registration
from sfm_core.testing.contracts import CapabilityContract


# The client forgets the lock file that it opened and could not lock.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
class TestQdrantInFolder(CapabilityContract):
    @pytest.fixture
    def registration(self) -> Registration[Backend]:
        return load_plugins().registry.find(PortName.VECTOR, "qdrant+local:")

    @pytest.fixture
    def url(self) -> str:
        return "qdrant+local:points"


class TestQdrantEdge(CapabilityContract):
    @pytest.fixture
    def registration(self) -> Registration[Backend]:
        return load_plugins().registry.find(PortName.VECTOR, "qdrant+edge:")

    @pytest.fixture
    def url(self) -> str:
        return "qdrant+edge:points"

    @pytest.fixture
    def new_context(self, fast_folder: Path) -> Callable[[], BackendContext]:
        return lambda: BackendContext(data_folder=fast_folder)
