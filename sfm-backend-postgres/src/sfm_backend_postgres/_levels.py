"""Carrying out a statement at the isolation level that it needs."""

from __future__ import annotations

from collections.abc import Mapping

import psycopg
from psycopg.rows import TupleRow

from sfm_backend_postgres._types import Connection

_OTHER_LEVEL = "SFM01"


async def execute_alone(
    connection: Connection, statement: bytes, parameters: Mapping[str, object]
) -> list[TupleRow]:
    """Carry out one statement at READ COMMITTED, in one round trip where that is usual.

    Args:
        connection: A connection outside of a transaction.
        statement: Calls a function that fails with SFM01 at another level.
        parameters: Its parameters by name.

    Returns:
        Its rows.
    """
    try:
        # A statement of its own is a transaction of its own.
        cursor = await connection.execute(statement, parameters, binary=True)
        return await cursor.fetchall()
    except psycopg.Error as error:
        # The database's own default is another level; BEGIN says which it is to be.
        if error.sqlstate != _OTHER_LEVEL:
            raise
    async with connection.pipeline(), connection.transaction():
        cursor = await connection.execute(statement, parameters, binary=True)
    return await cursor.fetchall()
