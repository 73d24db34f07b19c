"""The report on a backend says what the contracts found, to people and to programs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

import pytest

from sfm_core.inprocess import InProcessVectorStore
from sfm_core.testing.conformance import main

QUIET = ("-p", "no:cacheprovider", "-p", "no:randomly")

SUITE = '''
from collections.abc import Callable

import pytest

from sfm_core.inprocess import EventStreamState, GraphState, InProcessGraphStore
from sfm_core.testing.contracts import GraphStoreContract


class TestMine(GraphStoreContract):
    shared = False

    @pytest.fixture
    def make(self):
        state = GraphState()
        return lambda: InProcessGraphStore(state=state)


class TestWrong(TestMine):
    persistent = False

    @pytest.mark.skip(reason="it | takes long")
    async def test_nothing_works_before_it_is_opened(self, make):
        """Left out."""


def test_something_else():
    assert False
'''


class Part(TypedDict):
    contract: str
    suite: str
    passed: int
    failed: int
    skipped: int
    tests: list[dict[str, str]]


class Report(TypedDict):
    conforms: bool
    backend: dict[str, str]
    environment: dict[str, str]
    contracts: list[Part]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Report]:
    folder = tmp_path_factory.mktemp("reports")
    outputs = ("--output", folder / "report.md", "--output", folder / "report.json")
    done = run("sfm_core.testing.conformance", "memory:", "--port", "graph", *outputs)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    report: Report = json.loads((folder / "report.json").read_text())
    return (folder / "report.md").read_text(), report


def test_a_backend_is_tested_by_its_url_alone(reports: tuple[str, Report]) -> None:
    _, report = reports
    assert report["conforms"]
    assert report["backend"]["scheme"] == "memory"
    assert report["backend"]["capabilities"] == "local"
    assert report["backend"]["backend"].startswith("somafractalmemory-core ")
    assert {part["contract"] for part in report["contracts"]} == {
        "CapabilityContract",
        "GraphStoreContract",
    }
    assert all(part["passed"] and not part["failed"] for part in report["contracts"])


def test_people_read_the_same(reports: tuple[str, Report]) -> None:
    text, report = reports
    assert text.startswith("# Conformance report\n\nIt conforms.\n")
    for part in report["contracts"]:
        row = (part["contract"], part["suite"], part["passed"], part["failed"], part["skipped"])
        assert f"| {' | '.join(map(str, row))} |" in text
    for value in report["environment"].values():
        assert f"| {value} |" in text


def test_some_of_the_tests_can_be_chosen() -> None:
    done = run("sfm_core.testing.conformance", "hashing:", "--json", "--only", "fingerprint")
    report: Report = json.loads(done.stdout)
    assert [part["passed"] for part in report["contracts"]] == [1]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> tuple[Report, str]:
    folder = tmp_path_factory.mktemp("own")
    (folder / "test_mine.py").write_text(SUITE)
    (folder / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    outputs = (f"--sfm-report={folder / 'r.json'}", f"--sfm-report={folder / 'r.md'}")
    run("pytest", folder, f"--rootdir={folder}", "-p", "sfm_core.testing.report", *outputs, *QUIET)
    report: Report = json.loads((folder / "r.json").read_text())
    return report, (folder / "r.md").read_text()


def test_ones_own_tests_give_a_report_too(own: tuple[Report, str]) -> None:
    report, text = own
    mine, wrong = sorted(report["contracts"], key=lambda part: part["suite"])
    assert (mine["contract"], mine["suite"], mine["failed"]) == (
        "GraphStoreContract",
        "TestMine",
        0,
    )
    assert (wrong["suite"], wrong["failed"], wrong["skipped"]) == ("TestWrong", 1, 1)
    assert not report["conforms"]
    assert text.startswith("# Conformance report\n\nIt does not.\n")


def test_failures_and_what_is_left_out_are_told_with_reasons(own: tuple[Report, str]) -> None:
    _, text = own
    failed, left_out = text.partition("## Failed")[2].split("## Left out")
    assert "`TestWrong.test_edges_after_opening_again`: AssertionError" in failed
    assert "`TestWrong.test_nothing_works_before_it_is_opened`: it \\| takes long" in left_out
    assert "something_else" not in text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["memory:"], "Name one with --port, out of: cache, graph, kv, vector."),
        (["nowhere:"], "no port that can be tested"),
        (["nowhere:", "--port", "kv"], "SFM_KV_URL|no usable plugin|No usable plugin"),
        (["memory:", "--port", "kv", "--option", "X"], "NAME=VALUE"),
    ],
)
def test_what_cannot_be_tested_is_said(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert any(word in said for word in words.split("|"))


def test_a_backend_that_cannot_even_be_looked_at_is_not_tested(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def unfinished(*_: object, **__: object) -> None:
        raise NotImplementedError("search")

    monkeypatch.setattr(InProcessVectorStore, "search", unfinished)
    assert main(["memory:", "--port", "vector"]) == 2
    assert "NotImplementedError: search" in capsys.readouterr().err


def test_the_command_is_there_without_the_kit_and_says_what_it_lacks(tmp_path: Path) -> None:
    (tmp_path / "pytest.py").write_text("raise ModuleNotFoundError('no pytest here')")
    path = f"import sys; sys.path.insert(0, {str(tmp_path)!r})"
    program = f"{path}; from sfm_core.conformance import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "memory:"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "somafractalmemory-core[testing]" in done.stderr


def test_the_command_runs_the_kit() -> None:
    program = "import sys; from sfm_core.conformance import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "nowhere:"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "no port that can be tested" in done.stderr
