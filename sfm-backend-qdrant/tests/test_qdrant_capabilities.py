"""What the Qdrant backends say of themselves is so."""

from __future__ import annotations

import pytest

from sfm_core.plugins import load_plugins
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import PortName, Registration
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
