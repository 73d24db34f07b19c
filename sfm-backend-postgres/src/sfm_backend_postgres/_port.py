"""What the ports of this backend have in common."""

from __future__ import annotations

from sfm_backend_postgres._client import PostgresDatabase
from sfm_backend_postgres._statements import statements
from sfm_backend_postgres._variables import SCHEME
from sfm_core.porting import ServedPort

_PING = statements("truth")["ping"]


class PostgresPort(ServedPort[PostgresDatabase]):
    """A port served from a database that other ports may share."""

    def __init__(self, database: PostgresDatabase) -> None:
        super().__init__(database, scheme=SCHEME, shared=True)

    @property
    def _database(self) -> PostgresDatabase:
        return self._opened

    async def ping(self) -> None:
        """Read from the schema.

        Raises:
            BackendError: It cannot be read.
        """
        await self._database.fetch(_PING, {})
