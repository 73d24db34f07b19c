"""The template makes plugins whose tests pass at once."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
TEMPLATE = ROOT / "templates" / "plugin"


def generate(folder: Path, **answers: str) -> Path:
    """Make a plugin as its author would, from the answers and nothing else."""
    data = [part for name, value in answers.items() for part in ("--data", f"{name}={value}")]
    command = [sys.executable, "-m", "copier", "copy", "--quiet", "--defaults", *data]
    made = subprocess.run(
        [*command, str(TEMPLATE), str(folder)], capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr
    return folder


def install(project: Path) -> None:
    """Put beside the sources what an installer would: who it is, and its entry points."""
    text = (project / "pyproject.toml").read_text(encoding="utf-8")
    metadata = tomllib.loads(text)["project"]
    info = project / "src" / f"{metadata['name'].replace('-', '_')}-{metadata['version']}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {metadata['name']}\nVersion: {metadata['version']}\n"
    (info / "METADATA").write_text(head)
    points = metadata["entry-points"]["sfm"]
    lines = ["[sfm]", *(f"{name} = {module}" for name, module in points.items())]
    (info / "entry_points.txt").write_text("\n".join(lines))


def run(project: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(project / "src")}  # noqa: TID251 - passed on
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False
    )


# It runs a whole suite in another process.
@pytest.mark.long
@pytest.mark.timeout(300)
def test_the_tests_of_a_new_plugin_pass(tmp_path: Path) -> None:
    project = generate(tmp_path / "plugin", tech="Acme Search 2", author='Ann "A" O\'Neill')
    install(project)
    done = run(project, "pytest", "-q", "-p", "no:cacheprovider", "-W", "error")
    assert done.returncode == 0, done.stdout
    assert "skipped" in done.stdout
    assert " passed" in done.stdout


def test_a_new_plugin_is_found_and_conforms(tmp_path: Path) -> None:
    project = generate(tmp_path / "plugin", tech="Acme")
    install(project)
    done = run(project, "sfm_core.testing.conformance", "acme:", "--only", "capabilities or upsert")
    assert done.returncode == 0, done.stderr
    assert "| backend | sfm-vector-acme 0.1.0 |" in done.stdout
    assert "| persistent | no |" in done.stdout


def test_no_trace_of_the_template_is_left(tmp_path: Path) -> None:
    project = generate(tmp_path / "plugin", tech="Acme")
    for file in project.rglob("*"):
        assert "{" + "{" not in file.name
        if file.is_file():
            assert "{" + "{" not in file.read_text(encoding="utf-8")
            assert file.suffix != ".jinja"


@pytest.mark.parametrize(("name", "value"), [("tech", "2fast"), ("scheme", "Not-One")])
def test_an_answer_that_cannot_be_a_name_is_refused(tmp_path: Path, name: str, value: str) -> None:
    answers = {"tech": "Acme"} | {name: value}
    with pytest.raises(AssertionError, match=r"letter|Lower-case"):
        generate(tmp_path / "plugin", **answers)
