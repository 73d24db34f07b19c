from __future__ import annotations

from engine_machine import Engines
from hypothesis import settings

Engines.TestCase.settings = settings(
    max_examples=40, stateful_step_count=25, deadline=None, derandomize=True
)
TestEngines = Engines.TestCase
