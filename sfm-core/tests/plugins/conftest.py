"""Throwaway distributions, installed for the length of a test."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent

import pytest

GROUP = "sfm-throwaway"
"""A group of its own, so that the tests do not depend on what else is installed."""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a distribution with one plugin module."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    modules: list[str] = []

    def install_one(
        distribution: str,
        source: str | None,
        *,
        entry_point: str | None = None,
        version: str = "1.0",
        module: str | None = None,
    ) -> None:
        name = distribution.replace("-", "_")
        module = module or f"throwaway_{name}"
        info = tmp_path / f"{name}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n"
        )
        (info / "entry_points.txt").write_text(
            f"[{GROUP}]\n{entry_point or distribution} = {module}\n"
        )
        if source is not None:
            (tmp_path / f"{module}.py").write_text(dedent(source))
        modules.append(module)

    yield install_one
    for module in modules:
        sys.modules.pop(module, None)
