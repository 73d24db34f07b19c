"""Makes the servers of the backends known to the tests."""

from fix_postgres import database_url, postgres_url, shared_database_url
from fix_redis import redis_server, redis_url

__all__ = ["database_url", "postgres_url", "redis_server", "redis_url", "shared_database_url"]
