"""`scripts/serve.sh` installs what the mode needs, from the checkout, and then serves.

A program that stands for Python takes down what would be installed, and makes an `sfm` that says
how it was called.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from sfm_server.modes import BUILT_IN

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"sfm-core", "sfm-backend-sqlite", "sfm-embedder-local", "sfm-server"}
EVERYTHING = {path.parent.name for path in ROOT.glob("sfm-*/pyproject.toml")}

PYTHON = """#!/bin/sh
case "$1 $2" in
"-m venv")
    mkdir -p "$4/bin"
    cp "$0" "$4/bin/python"
    printf '#!/bin/sh\\necho "sfm $*"\\n' >"$4/bin/sfm"
    chmod +x "$4/bin/sfm"
    ;;
"-m pip") echo "$*" >>installed ;;
esac
"""


class Checkout:
    """A folder with the script and that program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "python"
        self.python.write_text(PYTHON)
        self.python.chmod(0o755)
        (folder / "scripts").mkdir()
        for name in ("serve.sh", "_venv.sh"):
            shutil.copy(ROOT / "scripts" / name, folder / "scripts")
        (folder / "constraints").mkdir()
        (folder / "constraints" / "all.txt").touch()
        for name in EVERYTHING:
            (folder / name).mkdir()
            (folder / name / "pyproject.toml").touch()

    def serve(self, *options: str, **environ: str) -> str:
        """Call the script, and return how `sfm` was called."""
        done = subprocess.run(
            ["sh", "scripts/serve.sh", *options],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "PYTHON": str(self.python), **environ},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    @property
    def installations(self) -> list[set[str]]:
        """The folders that each installation names."""
        lines = (self.folder / "installed").read_text().splitlines()
        return [set(re.findall(r"--editable \./([a-z-]+)", line)) for line in lines]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def test_without_settings_it_is_quick(checkout: Checkout) -> None:
    assert checkout.serve("--port", "9600") == "sfm serve --port 9600"
    assert checkout.installations == [SMALL]


@pytest.mark.parametrize("mode", sorted(BUILT_IN))
def test_what_a_mode_needs_is_installed(checkout: Checkout, mode: str) -> None:
    folders = {name.replace("somafractalmemory-", "sfm-") for name in BUILT_IN[mode].needs}
    (checkout.folder / ".env").write_text(f"MEMORY_MODE='{mode}'\n")
    checkout.serve()
    [installed] = checkout.installations
    assert installed >= folders | SMALL
    assert installed == (SMALL if mode in {"embedded", "test"} else EVERYTHING)


@pytest.mark.parametrize(
    "line",
    [
        "export MEMORY_MODE=development",
        ' MEMORY_MODE = "development"',
        "export SFM_VECTOR_URL = qdrant+edge:",
    ],
)
def test_the_file_is_read_as_the_server_reads_it(checkout: Checkout, line: str) -> None:
    (checkout.folder / ".env").write_text(f"{line}\n")
    checkout.serve()
    assert checkout.installations == [EVERYTHING]


@pytest.mark.parametrize("options", [["--mode", "development"], ["--mode=development"]])
def test_an_option_counts_more_than_the_environment(checkout: Checkout, options: list[str]) -> None:
    checkout.serve(*options, MEMORY_MODE="embedded")
    assert checkout.installations == [EVERYTHING]


def test_the_environment_counts_more_than_the_file(checkout: Checkout) -> None:
    (checkout.folder / ".env").write_text("MEMORY_MODE=development\n")
    checkout.serve(MEMORY_MODE="embedded")
    assert checkout.installations == [SMALL]


@pytest.mark.parametrize(
    "name",
    ["SFM_VECTOR_URL", "SFM_FORMER_KV_URLS", "SFM_JWT_KEYS", "REDIS_URL", "POSTGRES_URL"],
)
def test_a_setting_that_asks_for_more_than_the_mode_is_heeded(
    checkout: Checkout, name: str
) -> None:
    # Memories of a former mode are not found by a server that cannot read its store.
    checkout.serve(**{name: "qdrant+edge:"})
    assert checkout.installations == [EVERYTHING]


def test_what_was_installed_once_stays(checkout: Checkout) -> None:
    checkout.serve("--mode", "development")
    checkout.serve()
    checkout.serve("--mode", "development")
    assert checkout.installations == [EVERYTHING]
