"""Sessions on the server: whether a connection has one of its own, and how it is set up."""

from __future__ import annotations

from psycopg import IsolationLevel

from sfm_backend_postgres._packing import Packed, PackedDumper
from sfm_backend_postgres._types import Connection

_WHICH = b"SELECT pg_backend_pid()"
# A session keeps the plans that it made while the tables were small. All that is asked
# here has an index, which such a plan would leave aside for good.
_PLAN_FOR_MUCH = b"SET enable_seqscan = off; SET jit = off"


async def keeps_its_session(connection: Connection) -> bool:
    """Tell whether a connection has a session of its own.

    A pooler gives out numbers of its own, and hands the session to others.
    """
    cursor = await connection.execute(_WHICH)
    return await cursor.fetchone() == (connection.info.backend_pid,)


async def set_up(connection: Connection) -> None:
    """Make a new connection of the pool ready."""
    connection.adapters.register_dumper(Packed, PackedDumper)
    # It becomes part of each BEGIN, so it also holds where a pooler shares sessions.
    await connection.set_isolation_level(IsolationLevel.READ_COMMITTED)
    if await keeps_its_session(connection):
        await connection.execute(_PLAN_FOR_MUCH)
    else:
        # Others would find the settings and the prepared statements. What is not
        # prepared is planned each time.
        connection.prepare_threshold = None
