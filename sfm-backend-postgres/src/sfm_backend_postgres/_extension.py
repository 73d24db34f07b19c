"""The extension pgvector: whether it is there, and the tables that need it."""

from __future__ import annotations

import psycopg

from sfm_backend_postgres._schema import LOCK, migrate
from sfm_backend_postgres._statements import statements
from sfm_backend_postgres._types import Connection
from sfm_core.errors import ConfigurationError

_FIND = statements("vector")["extension"]
_SETTING = "SFM_VECTOR_URL"


async def prepare_vectors(connection: Connection, place: str, *, post: bool) -> str:
    """Make sure that a database can keep points.

    Args:
        connection: Connection to it, in autocommit mode.
        place: The database, for messages.
        post: Whether to take the post steps of the schema too.

    Returns:
        The schema of the extension, quoted.

    Raises:
        ConfigurationError: The server has no pgvector, or this user may not add
            it to the database.
        CorruptDataError: The tables were made by another edition of a migration.
    """
    schema = await _find(connection, place)
    if schema is None:
        await _add(connection, place)
        schema = await _find(connection, place)
    quoted = '"{}"'.format((schema or "public").replace('"', '""'))
    await migrate(connection, place, post=post, vectors_in=quoted)
    return quoted


async def _find(connection: Connection, place: str) -> str | None:
    cursor = await connection.execute(_FIND)
    row: tuple[str | None, str | None] | None = await cursor.fetchone()
    if row is None:
        raise ConfigurationError(
            f"The server of {place} does not have the extension pgvector, which vectors need.",
            setting=_SETTING,
            remedy="Install pgvector on the server (a package such as postgresql-17-pgvector), "
            "or choose another vector store.",
        )
    return row[1]


async def _add(connection: Connection, place: str) -> None:
    try:
        async with connection.transaction():
            # Two processes that add it at once would disturb each other.
            await connection.execute(LOCK)
            await connection.execute(b"CREATE EXTENSION IF NOT EXISTS vector")
    except psycopg.errors.InsufficientPrivilege as error:
        raise ConfigurationError(
            f"{place} lacks the extension pgvector, and this user may not add it.",
            setting=_SETTING,
            remedy="Have the owner of the database carry out: CREATE EXTENSION vector;",
        ) from error
