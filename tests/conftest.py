"""Fixtures of the tests that need several distributions; one concern each."""

from __future__ import annotations

import re
from typing import cast

import pytest

# One that another imports has to come before it.
pytest_plugins = (
    "tests.fix_crash",
    "tests.fix_engine",
    "tests.fix_services",
    "fix_kafka",
    "tests.fix_modes",
    "tests.fix_server",
    "tests.fix_faults",
    "tests.fix_stream",
    "tests.fix_image",
)

_MISSING = re.compile(r"NOT TESTED: [^'\")]+")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--crash-points",
        type=int,
        default=200,
        help="how often the crash tests kill a process that writes",
    )
    parser.addoption("--crash-seed", type=int, default=1, help="what the crash tests do, and when")
    parser.addoption(
        "--fault-operations",
        type=int,
        default=200,
        help="how much is done while the stores fail; from 1000 on, outages are longer and more",
    )
    parser.addoption(
        "--conversations",
        help="folder with memories.jsonl and questions.jsonl to move through the modes",
    )
    parser.addoption(
        "--stream-operations",
        type=int,
        default=400,
        help="how much is written while the stream is disturbed; from 10000 on, as long as can be",
    )
    parser.addoption("--stream-seed", type=int, default=1, help="what is written then, and when")
    parser.addoption(
        "--tenant-operations",
        type=int,
        default=400,
        help="how much tenants do who must not see anything of each other",
    )
    parser.addoption("--tenant-seed", type=int, default=1, help="who they are, and what they do")
    parser.addoption(
        "--api-seconds",
        type=int,
        default=20,
        help="for how long requests are made up that the document allows, or does not",
    )
    parser.addoption("--api-seed", type=int, default=1, help="which they are")
    parser.addoption("--fault-seed", type=int, default=1, help="what is done then, and what fails")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the very end which servers could not be had."""
    skipped = cast("list[pytest.TestReport]", terminalreporter.stats.get("skipped", []))
    reasons = (str(report.longrepr) for report in skipped)
    for line in sorted({match[0] for reason in reasons for match in _MISSING.finditer(reason)}):
        terminalreporter.write_line(line, yellow=True, bold=True)
