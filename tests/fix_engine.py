"""The embedded engine, opened on a folder as a process of its own would."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest

from sfm_core.clock import Clock, SystemClock
from sfm_core.engine.assembly import open_engine
from sfm_core.engine.memory_engine import MemoryEngine
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext, Registry
from sfm_core.settings import EngineSettings, Slots

# Where several write at once, a busy disk takes longer over an index than a caller would wait.
PATIENT = EngineSettings(index_wait=timedelta(seconds=120))

OpenEmbedded: TypeAlias = Callable[..., AbstractAsyncContextManager[MemoryEngine]]


@pytest.fixture(scope="session")
def registry() -> Registry:
    return load_plugins().registry


@pytest.fixture
def open_embedded(registry: Registry) -> OpenEmbedded:
    """Opens the embedded engine: `open_embedded(folder)`."""

    def opener(
        folder: Path, *, embedder: str = "hashing:", clock: Clock | None = None
    ) -> AbstractAsyncContextManager[MemoryEngine]:
        return open_engine(
            slots=Slots(
                kv="sqlite:", vector="sqlite:", graph="sqlite:", cache="memory:", embedder=embedder
            ),
            registry=registry,
            context=BackendContext(data_folder=folder, clock=clock or SystemClock()),
            settings=PATIENT,
        )

    return opener
