"""Migrations: bringing a database to the edition of the schema that this release knows.

A step named `.pre.sql` is one that the release before this one still works
with; a `.post.sql` is taken when that release no longer runs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from sfm_backend_postgres._types import Connection
from sfm_backend_postgres._variables import SCHEME
from sfm_core.errors import ConfigurationError, CorruptDataError

MINIMUM_SERVER = 15

# The first number ("SFM1") keeps clear of the locks of other programs, and the
# second of those that commits take.
LOCK = b"SELECT pg_advisory_xact_lock(1397116209, -1)"
# A lookup by name could answer from a cache that is older than the lock.
_EXISTS = (
    b"SELECT EXISTS (SELECT FROM pg_catalog.pg_class AS class "
    b"JOIN pg_catalog.pg_namespace AS schema ON schema.oid = class.relnamespace "
    b"WHERE schema.nspname = 'sfm' AND class.relname = 'migration')"
)
_OF_VECTORS = "v"
_APPLIED = b"SELECT name, checksum FROM sfm.migration"
_APPLY = b"INSERT INTO sfm.migration (name, checksum) VALUES (%s, %s)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """One step from an edition of the schema to the next.

    Attributes:
        name: Its file name.
        sql: Its statements.
    """

    name: str
    sql: str

    @property
    def optional(self) -> bool:
        """Whether only those take it who need the extension for vectors."""
        return self.name.startswith(_OF_VECTORS)

    @property
    def post(self) -> bool:
        """Whether the release before this one would not work with it."""
        return _is_post(self.name)

    @property
    def checksum(self) -> str:
        """Digest by which an edited migration is recognised."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


@cache
def known_migrations() -> tuple[Migration, ...]:
    """Read the migrations that this release ships: by number, pre before post."""
    folder = files("sfm_backend_postgres") / "migrations"
    scripts = [
        file
        for part in (folder, folder / "vector")
        for file in part.iterdir()
        if file.name.endswith(".sql")
    ]
    scripts.sort(key=lambda file: (file.name[:4], _is_post(file.name)))
    return tuple(
        Migration(name=file.name, sql=file.read_text(encoding="utf-8")) for file in scripts
    )


async def migrate(
    connection: Connection, place: str, *, post: bool, vectors_in: str | None = None
) -> None:
    """Bring a database to the newest schema; many processes may do so at once.

    Args:
        connection: Connection to it, in autocommit mode.
        place: The database, for messages.
        post: Whether to take the post steps too.
        vectors_in: Schema of the extension for vectors, quoted; without it the
            steps that need the extension are left out.

    Raises:
        ConfigurationError: The server or its encoding cannot serve, or a newer
            release has taken steps that this one does not work with.
        CorruptDataError: It was made by another edition of a migration.
    """
    _check_server(connection, place)
    optional = vectors_in is not None
    if not await _due(connection, place, post=post, optional=optional):
        return
    async with connection.transaction():
        await connection.execute(LOCK)
        if vectors_in is not None:
            await connection.execute(f"SET LOCAL search_path = pg_catalog, {vectors_in}".encode())
        # Another process may have taken them while this one waited.
        for migration in await _due(connection, place, post=post, optional=optional):
            await connection.execute(migration.sql.encode())
            await connection.execute(_APPLY, (migration.name, migration.checksum))


async def _due(
    connection: Connection, place: str, *, post: bool, optional: bool
) -> list[Migration]:
    applied = await _applied(connection)
    known = {migration.name: migration for migration in known_migrations()}
    for name, checksum in applied.items():
        if name not in known:
            _check_unknown(name, place)
        elif checksum != known[name].checksum:
            raise CorruptDataError(
                f"{place} was made by another edition of migration {name}.",
                backend=SCHEME,
                remedy="Open it with the release that made it, export, and import here.",
            )
    return [
        migration
        for migration in known.values()
        if migration.name not in applied
        and (post or not migration.post)
        and (optional or not migration.optional)
    ]


def _check_unknown(name: str, place: str) -> None:
    if _is_post(name):
        raise ConfigurationError(
            f"{place} has the schema of a newer release ({name}).",
            remedy="Upgrade somafractalmemory-backend-postgres; the database is left as it is.",
        )


async def _applied(connection: Connection) -> dict[str, str]:
    cursor = await connection.execute(_EXISTS)
    row = await cursor.fetchone()
    if row is None or not row[0]:
        return {}
    cursor = await connection.execute(_APPLIED)
    return dict(await cursor.fetchall())


def _check_server(connection: Connection, place: str) -> None:
    version = connection.info.server_version
    if version < MINIMUM_SERVER * 10_000:
        raise ConfigurationError(
            f"{place} is PostgreSQL {version // 10_000}; {MINIMUM_SERVER} or later is needed.",
            remedy="Upgrade the server.",
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in {None, "UTF8"}:
        raise ConfigurationError(
            f"{place} is encoded in {encoding}, which cannot hold every name.",
            remedy="Create the database with ENCODING 'UTF8' TEMPLATE template0.",
        )


def _is_post(name: str) -> bool:
    return name.endswith(".post.sql")
