from __future__ import annotations

import tomllib
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = sorted(path.name for path in ROOT.glob("sfm-*"))


@pytest.fixture(params=FOLDERS)
def folder(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tools() -> dict[str, Any]:
    document = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    tools: dict[str, Any] = document["tool"]
    return tools


def read(name: str) -> ConfigParser:
    parser = ConfigParser(interpolation=None)
    parser.read(ROOT / name, encoding="utf-8")
    return parser


def test_ruff_knows_the_sources(folder: str, tools: dict[str, Any]) -> None:
    assert f"{folder}/src" in tools["ruff"]["src"]


def test_basedpyright_reads_the_distribution(folder: str, tools: dict[str, Any]) -> None:
    assert folder in tools["basedpyright"]["include"]


def test_pytest_collects_the_tests(folder: str, tools: dict[str, Any]) -> None:
    assert f"{folder}/tests" in tools["pytest"]["ini_options"]["testpaths"]


def test_import_rules_cover_the_package(folder: str) -> None:
    packages = read(".importlinter")["importlinter"]["root_packages"].split()
    assert folder.replace("-", "_") in packages


def test_tox_installs_the_distribution(folder: str) -> None:
    dependencies = read("tox.ini")["testenv"]["deps"].split()
    assert any(name.startswith(f"./{folder}") for name in dependencies)


def test_tox_checks_the_dependencies(folder: str) -> None:
    assert f"{folder}/src" in read("tox.ini")["testenv:deps"]["commands"].split()


def test_constraints_are_versions_only() -> None:
    lines = (ROOT / "constraints" / "all.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if len(line.split("==")) != 2 or " " in line] == []
