"""Fixtures of the tests that need several distributions; one concern each."""

from __future__ import annotations

import pytest

pytest_plugins = ("tests.fix_crash", "tests.fix_engine", "tests.fix_server")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--crash-points",
        type=int,
        default=200,
        help="how often the crash tests kill a process that writes",
    )
    parser.addoption("--crash-seed", type=int, default=1, help="what the crash tests do, and when")
