"""Perform the steps of the Dockerfile without an engine, and use what comes of it.

    python -m tools.check_image

The wheels are made once and installed with no index; then the command of the image serves, as
somebody who is not root, from a tree that nobody can write to.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Final

import httpx

ROOT: Final = Path(__file__).resolve().parent.parent
DOCKERFILE: Final = ROOT / "Dockerfile"
PREFIX: Final = "/opt/sfm"
DATA: Final = "/var/lib/somafractalmemory"
PATIENCE_SECONDS: Final = 60.0


class CheckError(Exception):
    """The image would not work; the message says why."""


def instruction(name: str) -> str:
    """Return what the last instruction of a name says, continued lines joined."""
    text = DOCKERFILE.read_text(encoding="utf-8")
    found = re.findall(rf"^{name} ((?:.*\\\n)*.*)", text, re.MULTILINE)
    return str(found[-1]).replace("\\\n", " ")


def command() -> list[str]:
    """Return the program of the image and its arguments."""
    first: list[str] = json.loads(instruction("ENTRYPOINT"))
    rest: list[str] = json.loads(instruction("CMD"))
    return first + rest


def variables(tree: Path, data: Path) -> dict[str, str]:
    """Return the environment of the image, with its folders where they are here.

    Args:
        tree: What is /opt/sfm there.
        data: What is the data folder there.

    Returns:
        The variables.
    """
    pairs = (pair.partition("=") for pair in instruction("ENV").split())
    places = {PREFIX: str(tree), DATA: str(data), "$PATH": os.defpath}
    said = {name: value for name, _, value in pairs}
    for there, here in places.items():
        said = {name: value.replace(there, here) for name, value in said.items()}
    return said


def build(folder: Path) -> Path:
    """Make the tree of the image, which nobody can write to.

    Args:
        folder: Where there is room.

    Returns:
        The virtual environment that is /opt/sfm there.
    """
    wheels, tree = folder / "wheels", folder / "sfm"
    # As in the image, with a Python that has pip.
    _run([sys.executable, "-m", "venv", str(folder / "pip")], {})
    python = {"PYTHON": str(folder / "pip" / "bin" / "python")}
    _run(["scripts/build_wheels.sh", str(wheels)], python)
    _run(["scripts/install_wheels.sh", str(wheels), str(tree)], python)
    _run(["chmod", "-R", "a-w,a+rX", str(tree)], {})
    shutil.rmtree(wheels)
    return tree


@contextmanager
def serving(tree: Path, data: Path) -> Generator[str]:
    """Run the command of the image.

    Args:
        tree: The virtual environment.
        data: The data folder, which its user owns.

    Yields:
        Where it serves.

    Raises:
        CheckError: It has ended, or does not become ready.
    """
    environ = variables(tree, data) | {"SFM_PORT": str(_free_port()), "UVICORN_WORKERS": "2"}
    with subprocess.Popen([*_demoted(), *command()], cwd=data, env=environ) as process:  # noqa: S603 - the command of the image
        try:
            _wait(process, tree, environ)
            yield f"http://127.0.0.1:{environ['SFM_PORT']}"
            process.terminate()
            if process.wait(PATIENCE_SECONDS) != 0:
                raise CheckError(f"It ended with status {process.returncode}.")
        finally:
            process.kill()


def use(url: str) -> None:
    """Store a memory and recall it.

    Args:
        url: Where the image serves.

    Raises:
        CheckError: It was not found.
    """
    payload = {"text": "The kettle in the kitchen is broken."}
    _post(f"{url}/store", {"coord": "1,1", "payload": payload})
    answer = _post(f"{url}/recall", {"query": "what was wrong with the kettle?", "top_k": 1})
    if answer != {"matches": [payload]}:
        raise CheckError(f"It does not recall what it has stored: {answer}.")


def _wait(process: subprocess.Popen[bytes], tree: Path, environ: Mapping[str, str]) -> None:
    """Ask as the image's health check does until the answer is good."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    probe = [str(tree / "bin" / "sfm"), "probe"]
    while subprocess.run(probe, env=environ, check=False, capture_output=True).returncode:  # noqa: S603 - as above
        if process.poll() is not None or time.monotonic() > deadline:
            raise CheckError("It does not become ready.")
        Event().wait(0.1)


def _demoted() -> list[str]:
    """Return what makes a command run as the user of the image, who is not root.

    In a namespace of users, so that it still gets at a Python that only root can.
    """
    if os.geteuid() != 0:
        return []
    user = instruction("USER")
    return ["unshare", "--user", f"--map-user={user}", f"--map-group={user}", "--"]


def _post(url: str, body: Mapping[str, object]) -> object:
    answer = httpx.post(url, json=body, timeout=PATIENCE_SECONDS, trust_env=False)
    return answer.raise_for_status().json()


def _run(step: Sequence[str], variables: Mapping[str, str]) -> None:
    environ = os.environ | variables  # noqa: TID251 - the whole environment is passed on
    subprocess.run(step, cwd=ROOT, env=environ, check=True)  # noqa: S603 - the steps are those above


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    """Run the check."""
    with tempfile.TemporaryDirectory(prefix="sfm-image-") as name:
        folder = Path(name)
        # Whoever the image runs as has to get in.
        folder.chmod(0o755)
        tree, data = build(folder), folder / "data"
        data.mkdir()
        with serving(tree, data) as url:
            use(url)
        _run(["chmod", "-R", "u+w", str(tree)], {})
    print("The steps of the image work, and so does what they make.")


if __name__ == "__main__":
    main()
