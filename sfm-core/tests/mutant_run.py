"""Runs `mutant_suite` and prints which test noticed which mutant, as JSON.

It is a program of its own, so that the failing tests of mutants are no failing
tests of this project.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from hypothesis import Phase, settings

# This program imports Hypothesis before pytest can rewrite its assertions.
QUIET = ("-W", "ignore::pytest.PytestAssertRewriteWarning")


class Recorder:
    """Remembers for each test class a test that failed, if any."""

    def __init__(self) -> None:
        self.noticed: dict[str, str | None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        _, subject, test = report.nodeid.split("::", 2)
        subject = subject.removeprefix("Test")
        if report.failed or subject not in self.noticed:
            self.noticed[subject] = test if report.failed else None


def main() -> None:
    """Run the suite with settings that look for failures and do not explain them."""
    settings.register_profile(
        "mutants", database=None, derandomize=True, phases=[Phase.explicit, Phase.generate]
    )
    settings.load_profile("mutants")
    recorder = Recorder()
    suite = Path(__file__).with_name("mutant_suite.py")
    options = ["-q", "--tb=no", "--no-summary", "-p", "no:cacheprovider", "-p", "no:randomly"]
    pytest.main([str(suite), *options, "-p", "no:xdist", *QUIET], plugins=[recorder])
    sys.stdout.write("\n" + json.dumps(recorder.noticed))


if __name__ == "__main__":
    main()
