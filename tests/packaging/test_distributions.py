from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint, distribution
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = sorted(path.name for path in ROOT.glob("sfm-*"))

pytestmark = pytest.mark.smoke


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest) -> Path:
    return ROOT / str(request.param)


@pytest.fixture
def project(folder: Path) -> dict[str, Any]:
    document = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
    project: dict[str, Any] = document["project"]
    return project


def entry_points(project: dict[str, Any]) -> list[EntryPoint]:
    return list(distribution(project["name"]).entry_points)


def test_published_name_follows_the_folder(folder: Path, project: dict[str, Any]) -> None:
    assert project["name"] == folder.name.replace("sfm-", "somafractalmemory-", 1)


def test_installed_version_is_that_of_the_checkout(project: dict[str, Any]) -> None:
    assert distribution(project["name"]).version == project["version"]


def test_every_entry_point_loads(project: dict[str, Any]) -> None:
    assert all(point.load() is not None for point in entry_points(project))


def test_sibling_is_asked_for_in_the_same_version(project: dict[str, Any]) -> None:
    siblings = [name for name in project["dependencies"] if name.startswith("somafractalmemory-")]
    assert all(name.endswith(f"~={project['version']}") for name in siblings)


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "LICENSE"])
def test_distribution_carries_its_papers(folder: Path, name: str) -> None:
    assert (folder / name).read_text(encoding="utf-8").strip()


def test_licence_is_that_of_the_repository(folder: Path) -> None:
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
