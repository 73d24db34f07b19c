"""What the SQLite backends say of themselves is so."""

from __future__ import annotations

import pytest

from sfm_core.plugins import load_plugins
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import PortName, Registration
from sfm_core.testing.contracts import CapabilityContract


@pytest.mark.parametrize("port", [PortName.KV, PortName.VECTOR, PortName.GRAPH])
class TestSqlite(CapabilityContract):
    @pytest.fixture
    def registration(self, port: PortName) -> Registration[Backend]:
        return load_plugins().registry.find(port, "sqlite:")

    @pytest.fixture
    def url(self) -> str:
        return "sqlite:"
