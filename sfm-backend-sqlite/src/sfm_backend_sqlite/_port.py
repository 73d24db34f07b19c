"""What the ports of this backend have in common."""

from __future__ import annotations

from sfm_backend_sqlite._database import SqliteDatabase
from sfm_backend_sqlite.settings import SCHEME
from sfm_core.clock import Clock
from sfm_core.porting import ServedPort


class SqlitePort(ServedPort[SqliteDatabase]):
    """A port served from an SQLite file that other ports may share."""

    def __init__(self, database: SqliteDatabase, clock: Clock) -> None:
        super().__init__(database, scheme=SCHEME, shared=True)
        self._clock = clock

    @property
    def _database(self) -> SqliteDatabase:
        return self._opened

    async def ping(self) -> None:
        """Read from the file.

        Raises:
            BackendError: It cannot be read.
        """
        await self._database.read(
            lambda connection: connection.execute("SELECT count(*) FROM property").fetchone()
        )
