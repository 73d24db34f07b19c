"""What URLs and options mean."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from psycopg.conninfo import conninfo_to_dict

from sfm_backend_postgres.settings import PostgresSettings
from sfm_core.errors import ConfigurationError

URL = "postgresql://user:se%2Fcret@db.example:5433/memories"


def test_a_url_is_handed_to_libpq_as_it_stands() -> None:
    settings = PostgresSettings.parse(f"{URL}?sslmode=require", {})
    found = conninfo_to_dict(settings.conninfo)
    assert found["password"] == unquote("se%2Fcret")
    assert (found["host"], found["port"], found["dbname"]) == ("db.example", "5433", "memories")
    assert found["sslmode"] == "require"
    assert settings.place == "db.example:5433/memories"


def test_options_of_this_package_do_not_reach_libpq() -> None:
    settings = PostgresSettings.parse(
        f"{URL}?pool_size=3&migrations=pre&prepared_statements=off&target_session_attrs=primary",
        {},
    )
    assert settings.pool_size == 3
    assert not settings.post_migrations
    assert not settings.prepared_statements
    assert conninfo_to_dict(settings.conninfo)["target_session_attrs"] == "primary"


def test_tls_comes_from_the_environment_where_the_url_says_nothing() -> None:
    options = {
        "POSTGRES_SSL_MODE": "verify-full",
        "POSTGRES_SSL_ROOT_CERT": "/ca.pem",
        "POSTGRES_SSL_CERT": "/me.pem",
        "POSTGRES_SSL_KEY": "/me.key",
    }
    found = conninfo_to_dict(PostgresSettings.parse(f"{URL}?sslcert=/url.pem", options).conninfo)
    assert found["sslmode"] == "verify-full"
    assert found["sslrootcert"] == "/ca.pem"
    assert found["sslcert"] == "/url.pem"
    assert found["sslkey"] == "/me.key"


def test_a_dead_server_is_noticed_unless_the_url_says_otherwise() -> None:
    found = conninfo_to_dict(PostgresSettings.parse(f"{URL}?connect_timeout=2", {}).conninfo)
    assert found["connect_timeout"] == "2"
    assert found["tcp_user_timeout"] == "30000"


@pytest.mark.parametrize(
    "query",
    ["pool_size=0", "pool_size=x", "migrations=no", "prepared_statements=yes", "nonsense=1", "a"],
)
def test_what_cannot_be_is_refused_without_the_password(query: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PostgresSettings.parse(f"{URL}?{query}", {})
    assert "cret" not in str(caught.value)
    assert "pool_size" in caught.value.remedy


def test_a_malformed_host_is_refused_without_the_password() -> None:
    with pytest.raises(ConfigurationError) as caught:
        PostgresSettings.parse("postgresql://user:secret@[::1/memories", {})
    assert "secret" not in str(caught.value)


def test_a_plus_sign_in_an_option_stays() -> None:
    settings = PostgresSettings.parse("postgresql://db.example/m?application_name=a+b", {})
    assert conninfo_to_dict(settings.conninfo)["application_name"] == "a+b"


def test_a_password_is_not_shown() -> None:
    assert "cret" not in repr(PostgresSettings.parse(URL, {}))
