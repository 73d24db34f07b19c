"""The compose file as Compose itself reads it, which needs no engine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

ROOT = Path(__file__).resolve().parents[1]
PROFILES = {"test_api": "test", "dev_api": "dev"}

Model: TypeAlias = Mapping[str, Any]


def check_out(folder: Path) -> Path:
    """Make a folder what it is after `cp .env.example .env`, as far as Compose looks at it."""
    for name in ("docker-compose.yml", "configure.sh", ".env.example"):
        shutil.copy(ROOT / name, folder)
    shutil.copy(ROOT / ".env.example", folder / ".env")
    return folder


def compose(folder: Path, *arguments: str, **environ: str) -> str:
    """Run Compose on a folder, with some variables, and return what it prints."""
    program = Path(sys.executable).with_name("docker-compose")
    result = subprocess.run(
        [program, "--project-directory", folder, *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert not result.stderr, result.stderr
    return result.stdout


def rendered(folder: Path, **environ: str) -> Model:
    """Return what Compose makes of the file, with every profile."""
    profiles = [f"--profile={name}" for name in PROFILES.values()]
    found: Model = json.loads(compose(folder, *profiles, "config", "--format", "json", **environ))
    return found
