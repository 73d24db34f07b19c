"""The workflows for forks are what GitHub takes, and call what is here."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from postgres_server import newest_binaries

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = Path(sys.executable).parent
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def workflow(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def steps(path: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def test_there_is_one_for_each_purpose() -> None:
    names = {path.stem for path in WORKFLOWS}
    assert names == {"chart", "docs", "image", "release", "test"}


def test_it_is_as_the_schema_of_github_says(workflow: Path) -> None:
    program = Path(sys.executable).with_name("check-jsonschema")
    found = subprocess.run(
        [program, "--builtin-schema", "vendor.github-workflows", workflow],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout


def test_actions_are_pinned_by_tag(workflow: Path) -> None:
    for step in steps(workflow):
        if "uses" in step:
            assert re.fullmatch(r"[\w.-]+/[\w./-]+@(v\d+|release/v\d+)", step["uses"])


def test_it_may_write_only_what_it_has_to(workflow: Path) -> None:
    permissions = yaml.safe_load(workflow.read_text(encoding="utf-8"))["permissions"]
    assert permissions["contents"] == "read"


def test_nothing_of_an_event_is_pasted_into_a_shell(workflow: Path) -> None:
    for step in steps(workflow):
        assert "${{" not in step.get("run", "")


def test_what_it_calls_is_there(workflow: Path) -> None:
    tox = configparser.ConfigParser(interpolation=None)
    tox.read(ROOT / "tox.ini")
    for step in steps(workflow):
        said = step.get("run", "")
        for program in re.findall(r"(?<!\S)\.?/?((?:scripts|\.ci)/\S+)", said):
            assert (ROOT / program).exists(), program
        for names in re.findall(r"-e ([a-z,]+)$", said, re.MULTILINE):
            assert all(f"testenv:{name}" in tox for name in names.split(","))


def test_its_variables_do_not_tell_the_scripts_where_python_is(workflow: Path) -> None:
    for step in steps(workflow):
        if "scripts/" in step.get("run", ""):
            given = {
                name: re.sub(r"\$\{\{ *matrix\.python *\}\}", "3.11", value)
                for name, value in step.get("env", {}).items()
            }
            asked = subprocess.run(
                ["sh", "-euc", "root=.; . scripts/_venv.sh; find_python"],
                cwd=ROOT,
                env={"PATH": f"{PROGRAMS}:{os.defpath}", **given},
                capture_output=True,
                text=True,
                check=False,
            )
            assert asked.returncode == 0, asked.stderr


@pytest.mark.parametrize(
    ("installed", "used"), [(["15"], "15"), (["16"], "16"), (["9.6", "15", "9", "17"], "17")]
)
def test_the_tests_use_whichever_postgresql_the_machine_has(
    tmp_path: Path, installed: list[str], used: str
) -> None:
    for major in installed:
        (tmp_path / major / "bin").mkdir(parents=True)
    assert newest_binaries(tmp_path) == tmp_path / used / "bin"


def test_the_tests_do_without_a_postgresql_of_the_machine(tmp_path: Path) -> None:
    assert not newest_binaries(tmp_path).exists()


@pytest.mark.parametrize("name", ["docs", "test"])
def test_the_release_that_the_api_is_compared_with_is_checked_out(name: str) -> None:
    first = steps(ROOT / ".github" / "workflows" / f"{name}.yml")[0]
    assert first["with"]["fetch-depth"] == 0
