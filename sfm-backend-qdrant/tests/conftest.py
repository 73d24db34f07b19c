"""Makes the fixtures known to every test module beside it."""

from __future__ import annotations

from fix_qdrant import qdrant_server

__all__ = ["qdrant_server"]
