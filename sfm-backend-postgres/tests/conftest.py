"""Makes the servers known to the tests."""

from fix_pgbouncer import through_pgbouncer
from fix_postgres import (
    database_url,
    oldest_database_url,
    oldest_postgres_url,
    own_server,
    postgres_url,
    shared_database_url,
    shared_oldest_database_url,
    tls_server,
)

__all__ = [
    "database_url",
    "oldest_database_url",
    "oldest_postgres_url",
    "own_server",
    "postgres_url",
    "shared_database_url",
    "shared_oldest_database_url",
    "through_pgbouncer",
    "tls_server",
]
