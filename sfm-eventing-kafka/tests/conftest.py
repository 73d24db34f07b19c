"""Fixtures of the tests of this distribution."""

from __future__ import annotations

pytest_plugins = ("fix_kafka",)
