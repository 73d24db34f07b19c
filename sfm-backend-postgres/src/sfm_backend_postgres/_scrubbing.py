"""Having the database clear away rows that were removed or replaced."""

from __future__ import annotations

from typing import Final

from sfm_backend_postgres._client import PostgresDatabase

LEFT: Final = (
    "VACUUM was run, so nothing shows removed rows any more. Their bytes stay in the free space "
    "of pages until these are written to again or VACUUM FULL rewrites the table, and in the "
    "write-ahead log, its archive and standby servers until these let go of it."
)


async def clear_away(database: PostgresDatabase, statement: bytes) -> str:
    """Have tables cleared of dead rows, while others read and write.

    Args:
        database: Where they are.
        statement: VACUUM and the tables.

    Returns:
        What may be left all the same.

    Raises:
        BackendError: The database was not reached.
    """
    await database.fetch(statement, {})
    return LEFT
