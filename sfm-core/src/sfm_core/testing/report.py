"""A pytest plugin that writes down how a backend did in the contracts of the kit.

::

    pytest -p sfm_core.testing.report --sfm-report report.md tests

The report has one part for each class that inherits from a contract: what
passed, failed and was left out, with reasons. A name that ends in `.json`
gives JSON, any other Markdown. It can be given more than once.
"""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from sfm_core.testing._report_text import Conformance, Outcome, as_json, as_markdown, environment

_CONTRACTS = "sfm_core.testing.contracts"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the option."""
    group = parser.getgroup("sfm", "SomaFractalMemory: conformance of backends")
    group.addoption(
        "--sfm-report",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="write how backends did in the contracts; .json gives JSON, else Markdown",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Watch the tests, if a report is asked for."""
    files = cast(list[Path], config.getoption("--sfm-report"))
    if files:
        config.pluginmanager.register(Recorder(files), "sfm-report-recorder")


class Recorder:
    """Remembers what became of the tests of contracts.

    Attributes:
        conformance: What is known so far.
    """

    def __init__(self, files: list[Path], conformance: Conformance | None = None) -> None:
        """Begin an empty report.

        Args:
            files: Where to write it at the end.
            conformance: A report that says already whom it is about.
        """
        self.conformance = conformance or Conformance(environment=environment())
        self._files = files
        self._classes: dict[str, tuple[str, str]] = {}

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Note which contract a test belongs to."""
        cls = item.cls if isinstance(item, pytest.Function) else None
        if cls is None:
            return
        for base in cls.__mro__:
            if base.__module__.startswith(_CONTRACTS) and base.__name__.endswith("Contract"):
                self._classes[item.nodeid] = (cls.__name__, base.__name__)
                return

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Count a test when its outcome is known."""
        known = self._classes.get(report.nodeid)
        if known is None or (report.when != "call" and report.passed):
            return
        outcome = Outcome(
            test=report.nodeid.rpartition("::")[2],
            outcome=report.outcome,
            reason=_reason(report),
        )
        self.conformance.add(*known, outcome)

    def pytest_sessionfinish(self) -> None:
        """Write the report."""
        for file in self._files:
            text = as_json if file.suffix == ".json" else as_markdown
            file.write_text(text(self.conformance), encoding="utf-8")


def _reason(report: pytest.TestReport) -> str:
    if report.skipped and isinstance(report.longrepr, tuple):
        return str(report.longrepr[2]).removeprefix("Skipped: ")
    if report.failed:
        crash = getattr(report.longrepr, "reprcrash", None)
        message = str(crash.message) if crash else report.longreprtext
        return message.strip().splitlines()[0] if message.strip() else "failed"
    return ""
