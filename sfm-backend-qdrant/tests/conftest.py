"""Makes the fixtures known to every test module beside it."""

from __future__ import annotations

from fix_qdrant import fast_folder, qdrant_server

__all__ = ["fast_folder", "qdrant_server"]
