"""Build every distribution and use its wheel alone, as a user would.

    python -m tools.check_wheels

Each distribution is built as an sdist, and its wheel from that sdist. What is in the wheel is
compared with `pyproject.toml`; then the wheels are installed in fresh environments, where
every module must import and every entry point must load. Needs `uv` and `packaging`.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

import uv
from packaging.metadata import Metadata

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints" / "all.txt"
PROBE = Path(__file__).resolve().with_name("probe_wheel.py")


class CheckError(Exception):
    """A wheel or an environment is not as it should be; the message says what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A folder of the repository that is published on its own."""

    folder: Path
    name: str
    version: str
    entry_points: dict[str, dict[str, str]]

    @property
    def package(self) -> str:
        """The name that users import."""
        return self.folder.name.replace("-", "_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Wheels that must work together with nothing else of this repository installed."""

    wanted: dict[str, str]
    absent: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " + ".join(folder + extra for folder, extra in self.wanted.items())


INSTALLATIONS = (
    # A program that embeds the core gets no test runner and no web framework with it.
    Installation(wanted={"sfm-core": ""}, absent=("fastapi", "hypothesis", "pydantic", "pytest")),
    Installation(wanted={"sfm-core": "[testing]"}, absent=("fastapi",)),
    Installation(wanted={"sfm-core": "", "sfm-backend-postgres": ""}, absent=("fastapi",)),
    Installation(wanted={"sfm-core": "", "sfm-backend-qdrant": ""}, absent=("fastapi",)),
    Installation(wanted={"sfm-core": "", "sfm-backend-redis": ""}, absent=("fastapi",)),
    Installation(wanted={"sfm-core": "", "sfm-backend-sqlite": ""}, absent=("fastapi",)),
    Installation(wanted={"sfm-core": "", "sfm-embedder-local": ""}, absent=("fastapi",)),
    Installation(wanted={"sfm-core": "", "sfm-eventing-kafka": ""}, absent=("fastapi",)),
    Installation(
        wanted={
            "sfm-core": "",
            "sfm-backend-postgres": "",
            "sfm-backend-qdrant": "",
            "sfm-backend-redis": "",
            "sfm-backend-sqlite": "",
            "sfm-embedder-local": "",
            "sfm-eventing-kafka": "",
            "sfm-server": "[all]",
        },
        absent=("pytest",),
    ),
)


def read_distribution(folder: Path) -> Distribution:
    """Read what a distribution says about itself.

    Args:
        folder: Where its `pyproject.toml` lies.

    Returns:
        Its name, version and entry points, console scripts included.
    """
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = dict(project.get("entry-points", {}))
    if "scripts" in project:
        points["console_scripts"] = project["scripts"]
    return Distribution(
        folder=folder, name=project["name"], version=project["version"], entry_points=points
    )


def build(distribution: Distribution, target: Path) -> Path:
    """Build the sdist, and the wheel out of the sdist.

    Args:
        distribution: What to build.
        target: The folder that receives both files.

    Returns:
        The wheel.

    Raises:
        CheckError: The build failed, or left another number of wheels than one.
    """
    _uv("build", "--build-constraints", CONSTRAINTS, "--out-dir", target, distribution.folder)
    wheels = list(target.glob(f"{distribution.name.replace('-', '_')}-*.whl"))
    if len(wheels) != 1:
        raise CheckError(f"{distribution.name}: built {len(wheels)} wheels instead of one")
    return wheels[0]


def wheel_faults(distribution: Distribution, wheel: Path) -> Iterator[str]:
    """Compare the content of a wheel with what its distribution promises.

    Args:
        distribution: What the wheel was built from.
        wheel: The file.

    Yields:
        A sentence for each difference.
    """
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        info = f"{distribution.name.replace('-', '_')}-{distribution.version}.dist-info"
        # Refuses what a package index would refuse.
        metadata = Metadata.from_email(archive.read(f"{info}/METADATA"), validate=True)
        found = _entry_points(archive, f"{info}/entry_points.txt")
    for wanted in (f"{distribution.package}/py.typed", f"{info}/licenses/LICENSE"):
        if wanted not in names:
            yield f"{wanted} is missing"
    for name in sorted(names):
        if name.split("/")[0] not in {distribution.package, info}:
            yield f"{name} does not belong into a wheel"
    missing = _sources(distribution) - names
    yield from (f"{name} is in the source but not in the wheel" for name in sorted(missing))
    if found != distribution.entry_points:
        yield f"its entry points are {found} instead of {distribution.entry_points}"
    if not metadata.description:
        yield "its metadata has no description"


def check_installation(installation: Installation, wheels: dict[str, Path], folder: Path) -> None:
    """Install some wheels in a fresh environment and use everything in them.

    Args:
        installation: Which wheels, and which packages they must not bring along.
        wheels: The built wheels by the folder of their distribution.
        folder: Where the environment is made.

    Raises:
        CheckError: The wheels cannot be installed together, a module does not import, an entry
            point does not load, or an unwanted package came along.
    """
    python = folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    _uv("venv", "--quiet", "--python", sys.executable, folder)
    requirements = [f"{wheels[name]}{extra}" for name, extra in installation.wanted.items()]
    into = ("--quiet", "--python", python)
    _uv("pip", "install", *into, "--constraint", CONSTRAINTS, *requirements)
    _uv("pip", "check", *into)
    packages = [name.replace("-", "_") for name in installation.wanted]
    # `-I` keeps this checkout off the path, so that only the wheels can be found.
    _run([python, "-I", PROBE, *packages, "--absent", *installation.absent], cwd=folder)


def main() -> int:
    """Check every distribution and every way of installing them.

    Returns:
        The exit status: 0 when everything is as it should be, 1 otherwise.
    """
    faults: list[str] = []
    with tempfile.TemporaryDirectory(prefix="sfm-wheels-") as name:
        target = Path(name)
        try:
            wheels = _build_all(target / "dist", faults)
        except CheckError as error:
            print(f"FAULT {error}")
            return 1
        for number, installation in enumerate(INSTALLATIONS):
            print(f"-- {installation}", flush=True)
            try:
                check_installation(installation, wheels, target / f"env{number}")
            except CheckError as error:
                faults.append(f"{installation}: {error}")
    for fault in faults:
        print(f"FAULT {fault}")
    print(f"{len(wheels)} wheels, {len(INSTALLATIONS)} installations, {len(faults)} faults")
    return 1 if faults else 0


def _build_all(target: Path, faults: list[str]) -> dict[str, Path]:
    wheels: dict[str, Path] = {}
    for folder in sorted(ROOT.glob("sfm-*")):
        distribution = read_distribution(folder)
        print(f"-- build {distribution.name}", flush=True)
        wheels[folder.name] = build(distribution, target)
        found = wheel_faults(distribution, wheels[folder.name])
        faults += [f"{wheels[folder.name].name}: {fault}" for fault in found]
    return wheels


def _sources(distribution: Distribution) -> set[str]:
    source = distribution.folder / "src"
    files = (path for path in source.rglob("*") if path.is_file())
    return {
        path.relative_to(source).as_posix() for path in files if "__pycache__" not in path.parts
    }


def _entry_points(archive: zipfile.ZipFile, name: str) -> dict[str, dict[str, str]]:
    if name not in archive.namelist():
        return {}
    parser = ConfigParser(delimiters=("=",))
    # Names of entry points keep their case; ConfigParser would lower it.
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(archive.read(name).decode())
    return {section: dict(parser[section]) for section in parser.sections()}


def _uv(*arguments: str | Path) -> None:
    _run([uv.find_uv_bin(), *arguments])


def _run(command: Sequence[str | Path], *, cwd: Path | None = None) -> None:
    result = subprocess.run(  # noqa: S603 - every command is written in this file
        command, cwd=cwd, check=False, capture_output=True, text=True
    )
    if result.returncode:
        raise CheckError(
            f"`{' '.join(map(str, command))}` ended with {result.returncode}:\n"
            f"{result.stdout}{result.stderr}"
        )


if __name__ == "__main__":
    sys.exit(main())
