"""What the PostgreSQL backends say of themselves is so."""

from __future__ import annotations

import pytest

from sfm_core.plugins import load_plugins
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import PortName, Registration
from sfm_core.testing.contracts import CapabilityContract


@pytest.mark.parametrize("port", [PortName.KV, PortName.GRAPH, PortName.VECTOR])
class TestPostgres(CapabilityContract):
    @pytest.fixture
    def registration(self, port: PortName) -> Registration[Backend]:
        return load_plugins().registry.find(port, "postgresql:")

    @pytest.fixture
    def url(self, database_url: str) -> str:
        return database_url
