"""What the tests of this backend share."""

from __future__ import annotations

from pathlib import Path

from sfm_backend_sqlite._database import shared_database
from sfm_backend_sqlite.graph import SqliteGraphStore
from sfm_backend_sqlite.kv import SqliteKeyValueStore
from sfm_backend_sqlite.settings import SqliteSettings
from sfm_core.clock import Clock, SystemClock
from sfm_core.registry import BackendContext


class LimitedKeyValueStore(SqliteKeyValueStore):
    """A store whose file can be kept from growing, like a disk that is full."""

    async def limit_pages(self, pages: int) -> None:
        await self._database.write(
            lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()
        )


def open_kv(
    folder: Path, *, url: str = "sqlite:", clock: Clock | None = None
) -> LimitedKeyValueStore:
    """Make a store with a context of its own, as another process would."""
    context = BackendContext(data_folder=folder, clock=clock or SystemClock())
    settings = SqliteSettings.parse(url, folder)
    return LimitedKeyValueStore(shared_database(settings, context), context.clock)


def open_graph(folder: Path) -> SqliteGraphStore:
    """Make a graph store with a context of its own."""
    context = BackendContext(data_folder=folder)
    settings = SqliteSettings.parse("sqlite:", folder)
    return SqliteGraphStore(shared_database(settings, context), context.clock)
