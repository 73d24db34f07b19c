from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


def find_python(python: str) -> subprocess.CompletedProcess[str]:
    script = f'root="{ROOT}"; . "$root/scripts/_venv.sh"; find_python'
    environment = {"PATH": os.defpath, "PYTHON": python}
    return subprocess.run(
        ["/bin/sh", "-c", script], env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture
def old_python(tmp_path: Path) -> Path:
    """An interpreter that answers as one of an earlier version does."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
    python.chmod(0o755)
    return python


def test_named_python_is_used() -> None:
    assert find_python(sys.executable).stdout.strip() == sys.executable


def test_unusable_python_is_refused(old_python: Path) -> None:
    assert find_python(str(old_python)).returncode == 1


def test_refusal_says_what_to_do(old_python: Path) -> None:
    assert "PYTHON=/path/to/python3" in find_python(str(old_python)).stderr
