"""What holds for all tests."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

# Examples may take as long as a slow machine needs; `settings()` is what CI has chosen, if it has.
settings.register_profile(
    "patient",
    settings(),
    deadline=None,
    suppress_health_check=[*settings().suppress_health_check, HealthCheck.too_slow],
)
settings.load_profile("patient")
