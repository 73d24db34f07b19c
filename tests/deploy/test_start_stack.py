"""`start_stack.sh` starts what a mode needs, and nothing else.

There is no engine here. A program called `docker` takes down what it was asked, and has Compose
itself check it against the compose file.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

DOCKER = f"""#!/bin/sh
[ "$1 $2" != "compose version" ] || exit 0
echo "${{MEMORY_MODE:-}}${{UVICORN_WORKERS:+ $UVICORN_WORKERS}}: $*" >>asked
[ ! -e broken ] || exit 1
# What follows the last option are names of services; Compose refuses those that it does not know.
shift
for last; do case $last in -*|compose|up|[0-9]*) ;; *) names="$names $last" ;; esac; done
exec {Path(sys.executable).with_name("docker-compose")} config --quiet $names
"""


class Checkout:
    """A folder with the stack and that program."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir()
        (folder / "bin").mkdir()
        shutil.copy(ROOT / "scripts" / "start_stack.sh", folder / "scripts")
        shutil.copy(ROOT / "docker-compose.yml", folder)
        shutil.copy(ROOT / ".env.example", folder / ".env")
        docker = folder / "bin" / "docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)

    def start(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "scripts/start_stack.sh", *arguments],
            cwd=self.folder,
            env={
                "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
                "HOME": str(self.folder),
                **environ,
            },
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def asked(self) -> list[str]:
        path = self.folder / "asked"
        return path.read_text().splitlines() if path.exists() else []


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.mark.parametrize(
    ("chosen", "services"),
    [
        ("development", "redis qdrant redpanda"),
        ("evented_enterprise", "redis qdrant postgres redpanda"),
    ],
)
def test_the_services_of_a_mode_are_started_and_waited_for(
    checkout: Checkout, chosen: str, services: str
) -> None:
    done = checkout.start(chosen)
    assert done.returncode == 0, done.stderr
    assert checkout.asked == [f": compose up --detach --wait --wait-timeout 180 {services}"]
    assert f"Running and well: {services}" in done.stdout


@pytest.mark.parametrize("chosen", ["embedded", "test", "cloud_managed"])
def test_a_mode_that_needs_no_service_says_so(checkout: Checkout, chosen: str) -> None:
    done = checkout.start(chosen)
    assert (done.returncode, checkout.asked) == (0, [])
    assert "needs no service" in done.stdout


def test_without_a_mode_it_is_that_of_the_file(checkout: Checkout) -> None:
    assert checkout.start().returncode == 0
    assert checkout.asked == [
        ": compose up --detach --wait --wait-timeout 180 redis qdrant redpanda"
    ]


def test_a_variable_counts_more_than_the_file(checkout: Checkout) -> None:
    done = checkout.start(MEMORY_MODE="evented_enterprise")
    assert "Running and well: redis qdrant postgres redpanda" in done.stdout, done.stderr
    assert "./configure.sh --mode evented_enterprise" in done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "MEMORY_MODE='evented_enterprise' # as in the cluster",
        "export MEMORY_MODE=evented_enterprise",
        "  MEMORY_MODE = evented_enterprise\r",
    ],
)
def test_the_mode_is_read_as_compose_reads_it(checkout: Checkout, line: str) -> None:
    (checkout.folder / ".env").write_text(f"{line}\n", newline="")
    done = checkout.start()
    assert done.stdout == "Running and well: redis qdrant postgres redpanda\n", done.stderr


@pytest.mark.parametrize(
    ("chosen", "ours"), [("embedded", "api"), ("cloud_managed", "api consumer")]
)
def test_the_api_is_started_in_that_mode_too_when_it_is_asked_for(
    checkout: Checkout, chosen: str, ours: str
) -> None:
    done = checkout.start("--api", chosen)
    assert done.returncode == 0, done.stderr
    options = "--detach --build --no-deps --wait --wait-timeout 300"
    assert checkout.asked == [f"{chosen}: compose up {options} {ours}"]
    assert f"./configure.sh --mode {chosen}" in done.stdout


def test_the_api_of_a_mode_in_one_process_has_one_worker(checkout: Checkout) -> None:
    done = checkout.start("--api", "test")
    assert done.returncode == 0, done.stderr
    assert [asked.partition(":")[0] for asked in checkout.asked] == ["test 1"]


def test_services_that_do_not_become_well_are_named(checkout: Checkout) -> None:
    (checkout.folder / "broken").touch()
    done = checkout.start("development")
    assert done.returncode == 2
    assert "docker compose logs" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["dream"], "'dream' is no mode"),
        (["embedded", "test"], "One mode at a time"),
        (["--fast"], "no option --fast"),
    ],
)
def test_what_cannot_be_done_is_refused(
    checkout: Checkout, arguments: list[str], named: str
) -> None:
    done = checkout.start(*arguments)
    assert (done.returncode, checkout.asked) == (2, [])
    assert named in done.stderr


def test_a_missing_file_of_settings_is_said_with_what_to_do(checkout: Checkout) -> None:
    (checkout.folder / ".env").unlink()
    done = checkout.start("development")
    assert done.returncode == 2
    assert "./configure.sh" in done.stderr
