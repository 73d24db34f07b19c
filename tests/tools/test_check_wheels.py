from __future__ import annotations

import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tools import check_wheels

INFO = "somafractalmemory_thing-1.0.dist-info"
METADATA = "Metadata-Version: 2.4\nName: somafractalmemory-thing\nVersion: 1.0\n\n# Thing\n"
CONTENT = {
    "sfm_thing/__init__.py": "",
    "sfm_thing/py.typed": "",
    f"{INFO}/METADATA": METADATA,
    f"{INFO}/entry_points.txt": "[sfm]\nThing = sfm_thing.plugin\n",
    f"{INFO}/licenses/LICENSE": "Licence",
}

Pack = Callable[[Mapping[str, str]], Path]


@pytest.fixture
def distribution(tmp_path: Path) -> check_wheels.Distribution:
    folder = tmp_path / "sfm-thing"
    source = folder / "src" / "sfm_thing"
    source.mkdir(parents=True)
    for name in ("__init__.py", "py.typed"):
        (source / name).touch()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "somafractalmemory-thing"\nversion = "1.0"\n'
        '[project.entry-points.sfm]\nThing = "sfm_thing.plugin"\n',
        encoding="utf-8",
    )
    return check_wheels.read_distribution(folder)


@pytest.fixture
def pack(tmp_path: Path) -> Pack:
    def pack(content: Mapping[str, str]) -> Path:
        wheel = tmp_path / "thing.whl"
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in content.items():
                archive.writestr(name, text)
        return wheel

    return pack


def test_complete_wheel_has_no_fault(distribution: check_wheels.Distribution, pack: Pack) -> None:
    assert list(check_wheels.wheel_faults(distribution, pack(CONTENT))) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sfm_thing/py.typed": None}, "py.typed is missing"),
        ({f"{INFO}/licenses/LICENSE": None}, "LICENSE is missing"),
        ({"sfm_thing/__init__.py": None}, "in the source but not in the wheel"),
        ({"tests/test_thing.py": ""}, "does not belong"),
        ({f"{INFO}/entry_points.txt": None}, "entry points"),
        ({f"{INFO}/METADATA": METADATA.replace("# Thing\n", "")}, "description"),
    ],
)
def test_fault_of_a_wheel_is_named(
    distribution: check_wheels.Distribution,
    pack: Pack,
    change: dict[str, str | None],
    words: str,
) -> None:
    content = {name: text for name, text in (CONTENT | change).items() if text is not None}
    faults = list(check_wheels.wheel_faults(distribution, pack(content)))
    assert any(words in fault for fault in faults)


def test_console_script_is_an_entry_point(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "thing"\nversion = "1.0"\nscripts = { thing = "thing:main" }\n',
        encoding="utf-8",
    )
    points = check_wheels.read_distribution(tmp_path).entry_points
    assert points == {"console_scripts": {"thing": "thing:main"}}
