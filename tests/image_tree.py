"""What the Dockerfile makes, without an engine: its steps are performed, its processes run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event

ROOT = Path(__file__).resolve().parents[1]
PREFIX = "/opt/sfm"
DATA = "/var/lib/somafractalmemory"
PATIENCE_SECONDS = 120.0
GRACE_SECONDS = 75.0
"""`stop_grace_period` of the compose file."""


def instruction(name: str) -> str:
    """Return what the last instruction of a name says, continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    found = re.findall(rf"^{name} ((?:.*\\\n)*.*)", text, re.MULTILINE)
    return str(found[-1]).replace("\\\n", " ")


def words(name: str) -> list[str]:
    """Return the words of a command that an instruction names as JSON."""
    found: list[str] = json.loads("[" + instruction(name).partition("[")[2])
    return found


def build(folder: Path) -> Path:
    """Make the tree of the image, which nobody can write to.

    Args:
        folder: Where there is room.

    Returns:
        The virtual environment that is /opt/sfm there.
    """
    wheels, tree = folder / "wheels", folder / "sfm"
    # As in the image, with a Python that has pip.
    _run([sys.executable, "-m", "venv", str(folder / "pip")])
    python = str(folder / "pip" / "bin" / "python")
    # The wheels are had or made once, and installed with no index.
    _run(["scripts/build_wheels.sh", str(wheels)], PYTHON=python)
    _run(["scripts/install_wheels.sh", str(wheels), str(tree)], PYTHON=python)
    _run(["chmod", "-R", "a-w,a+rX", str(tree)])
    shutil.rmtree(wheels)
    return tree


class Container:
    """A process of the image: run by its user, in its environment, from its tree.

    Attributes:
        environ: Its variables.
    """

    def __init__(
        self,
        tree: Path,
        data: Path,
        log: Path,
        *,
        environ: Mapping[str, str],
        arguments: Sequence[str] | None = None,
        probe: Sequence[str] | None = None,
    ) -> None:
        """Make one that does not run.

        Args:
            tree: What is /opt/sfm there.
            data: What is the data folder there.
            log: What its output is added to.
            environ: What else its environment has.
            arguments: What is given to the program of the image; `None` is what that says.
            probe: What tells whether it is well; `None` is what the image says.
        """
        self.environ = {**_variables(tree, data), **environ}
        self._arguments = words("CMD") if arguments is None else arguments
        self._probe = words("HEALTHCHECK") if probe is None else probe
        self._data = data
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has printed."""
        return self._log.read_text(encoding="utf-8")

    def start(self) -> None:
        """Start it, and wait until its health check finds it well."""
        assert self._process is None
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_demoted(), *words("ENTRYPOINT"), *self._arguments],
                cwd=self._data,
                env=self.environ,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.well():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            Event().wait(0.1)

    def well(self) -> bool:
        """Ask as its health check does."""
        asked = subprocess.run(self._probe, env=self.environ, check=False, capture_output=True)
        return asked.returncode == 0

    def stop(self) -> None:
        """Ask it to end, and wait until it has done so in good order."""
        assert self._process is not None
        process, self._process = self._process, None
        with process:
            process.terminate()
            assert process.wait(GRACE_SECONDS) == 0, self.log

    def close(self) -> None:
        """See that nothing of it is left."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _variables(tree: Path, data: Path) -> dict[str, str]:
    """Return the environment of the image, with its folders where they are here."""
    pairs = (pair.partition("=") for pair in instruction("ENV").split())
    places = {PREFIX: str(tree), DATA: str(data), "$PATH": os.defpath}
    said = {name: value for name, _, value in pairs}
    for there, here in places.items():
        said = {name: value.replace(there, here) for name, value in said.items()}
    return said


def _demoted() -> list[str]:
    """Return what makes a command run as the user of the image, who is not root.

    In a namespace of users, so that it still gets at a Python that only root can.
    """
    if os.geteuid() != 0:
        return []
    user = instruction("USER")
    return ["unshare", "--user", f"--map-user={user}", f"--map-group={user}", "--"]


def _run(step: Sequence[str], **variables: str) -> None:
    environ = os.environ | variables  # noqa: TID251 - the whole environment is passed on
    subprocess.run(step, cwd=ROOT, env=environ, check=True)
