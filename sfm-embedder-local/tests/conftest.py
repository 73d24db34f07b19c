"""Makes the fixtures known to every test module beside it."""

from __future__ import annotations

from openai_service import service

__all__ = ["service"]
