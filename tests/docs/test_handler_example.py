"""The event handler on the page of hooks runs, and keeps the contract of handlers."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import ModuleType

import pytest

from sfm_core.handling import HandlerContext
from sfm_core.plugins import load_plugins
from sfm_core.protocols.handler import EventHandler
from sfm_core.registry import BackendContext
from sfm_core.settings import EngineSettings
from sfm_core.testing.contracts import EventHandlerContract

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference" / "hooks.md"


def example() -> ModuleType:
    """Return the block of the page as a module."""
    section = PAGE.read_text(encoding="utf-8").partition("### A plugin that handles events\n")[2]
    block = re.search(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert block
    module = ModuleType("ledger")
    exec(compile(block[1], "hooks.md", "exec"), vars(module))  # noqa: S102 - the page is ours
    return module


class TestExample(EventHandlerContract):
    @pytest.fixture
    def make(self, tmp_path: Path) -> Callable[[], EventHandler]:
        self._path = tmp_path / "ledger.db"
        address = f"ledger:{self._path}"
        plugins = load_plugins(extra={"ledger": example()})
        context = HandlerContext(
            backends=BackendContext(data_folder=tmp_path),
            registry=plugins.registry,
            settings=EngineSettings(),
            open_memory=NotImplemented,
        )
        offered = plugins.handlers.find(address)
        return lambda: offered.factory(address, context)

    async def effect(self) -> object:
        if not self._path.exists():
            return []
        with closing(sqlite3.connect(self._path)) as db:
            try:
                return sorted(db.execute("SELECT * FROM newest").fetchall())
            except sqlite3.OperationalError:
                return []
