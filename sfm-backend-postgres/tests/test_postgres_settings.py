"""What URLs and options mean."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

import pytest
from psycopg.conninfo import conninfo_to_dict

from sfm_backend_postgres.plugin import is_set_up
from sfm_backend_postgres.settings import PostgresSettings
from sfm_core.errors import ConfigurationError
from sfm_core.registry import BackendContext

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


@pytest.mark.parametrize("scheme", ["postgresql", "postgres"])
def test_a_bare_scheme_stands_for_the_address_in_the_environment(scheme: str) -> None:
    options = {"POSTGRES_URL": f"{URL}?pool_size=3&connect_timeout=2"}
    settings = PostgresSettings.parse(f"{scheme}:?pool_size=4", options)
    assert settings.place == "db.example:5433/memories"
    assert settings.pool_size == 4
    assert conninfo_to_dict(settings.conninfo)["connect_timeout"] == "2"


def test_a_url_without_a_host_is_not_a_bare_scheme() -> None:
    options = {"POSTGRES_URL": URL}
    settings = PostgresSettings.parse("postgresql:///other", options)
    assert settings.place == "localhost:5432/other"


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"POSTGRES_URL": ""},
        {"POSTGRES_URL": "postgresql:"},
        {"POSTGRES_URL": "mysql://user:secret@db.example/memories"},
        {"POSTGRES_URL": "db.example:5432"},
    ],
)
def test_a_bare_scheme_without_an_address_names_the_variable(options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PostgresSettings.parse("postgresql:", options)
    assert caught.value.setting == "POSTGRES_URL"
    assert "secret" not in str(caught.value)


def test_a_tls_mode_that_does_not_exist_names_the_variable() -> None:
    with pytest.raises(ConfigurationError, match="verify-full") as caught:
        PostgresSettings.parse(URL, {"POSTGRES_SSL_MODE": "yes"})
    assert caught.value.setting == "POSTGRES_SSL_MODE"


@pytest.mark.parametrize(
    ("url", "options", "expected"),
    [
        ("postgresql:", {}, False),
        ("postgresql:", {"POSTGRES_URL": ""}, False),
        ("postgresql:", {"POSTGRES_URL": URL}, True),
        (URL, {}, True),
    ],
)
def test_there_may_be_memories_where_a_server_is_named(
    url: str, options: dict[str, str], *, expected: bool
) -> None:
    assert is_set_up(url, BackendContext(data_folder=Path(), options=options)) is expected


def test_a_plus_sign_in_an_option_stays() -> None:
    settings = PostgresSettings.parse("postgresql://db.example/m?application_name=a+b", {})
    assert conninfo_to_dict(settings.conninfo)["application_name"] == "a+b"


def test_a_password_is_not_shown() -> None:
    assert "cret" not in repr(PostgresSettings.parse(URL, {}))
