"""Encryption and credentials, against a server that offers TLS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import psycopg
import pytest
from fix_postgres import TlsServer

from sfm_backend_postgres.plugin import create_graph, create_kv
from sfm_backend_postgres.settings import PostgresSettings
from sfm_core.errors import ConfigurationError
from sfm_core.registry import BackendContext

_URL = "postgresql://user:secret@db.example/memories"
_VERIFIED = {"POSTGRES_SSL_MODE": "verify-full"}


def by_name(server: TlsServer) -> str:
    """Return the server's URL by the name that its certificate carries."""
    return server.url.replace("127.0.0.1", "localhost")


async def open_and_ask(url: str, options: Mapping[str, str]) -> None:
    """Open a store, use it, and make sure that it is encrypted."""
    context = BackendContext(
        data_folder=Path(), options={"POSTGRES_URL": url, **options}, secure=True
    )
    async with create_kv("postgresql:", context) as store:
        await store.ping()
        await store.namespaces()
        with psycopg.connect(url.replace("certified@", "postgres:secret@")) as raw:
            query = (
                "SELECT bool_and(ssl) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) "
                "WHERE application_name = 'somafractalmemory'"
            )
            assert raw.execute(query).fetchone() == (True,)


async def test_a_server_is_verified_by_what_the_environment_names(tls_server: TlsServer) -> None:
    trusted = _VERIFIED | {"POSTGRES_SSL_ROOT_CERT": str(tls_server.authority)}
    await open_and_ask(by_name(tls_server), trusted)


async def test_a_server_under_another_name_is_refused_unless_names_do_not_count(
    tls_server: TlsServer,
) -> None:
    trusted = {"POSTGRES_SSL_ROOT_CERT": str(tls_server.authority)}
    with pytest.raises(ConfigurationError) as caught:
        await open_and_ask(tls_server.url, trusted | _VERIFIED)
    assert caught.value.setting == "POSTGRES_SSL_MODE"
    await open_and_ask(tls_server.url, trusted | {"POSTGRES_SSL_MODE": "verify-ca"})


@pytest.mark.parametrize("mode", [{}, _VERIFIED])
async def test_the_certificates_of_the_system_are_those_that_its_openssl_would_take(
    tls_server: TlsServer, monkeypatch: pytest.MonkeyPatch, mode: Mapping[str, str]
) -> None:
    # The driver's wheel brings an OpenSSL that was built for another system.
    monkeypatch.setenv("SSL_CERT_FILE", str(tls_server.authority))
    await open_and_ask(by_name(tls_server), {"POSTGRES_SSL_ROOT_CERT": "system", **mode})
    with pytest.raises(ConfigurationError):
        await open_and_ask(tls_server.url, {"POSTGRES_SSL_ROOT_CERT": "system", **mode})


@pytest.mark.parametrize("name", ["stranger.pem", "absent.pem"])
async def test_a_server_whose_authority_is_not_known_is_refused(
    tls_server: TlsServer, name: str
) -> None:
    trusted = {"POSTGRES_SSL_ROOT_CERT": str(tls_server.authority.with_name(name))}
    with pytest.raises(ConfigurationError) as caught:
        await open_and_ask(by_name(tls_server), trusted | _VERIFIED)
    assert caught.value.setting == "POSTGRES_SSL_MODE"
    assert "POSTGRES_SSL_ROOT_CERT" in caught.value.remedy


async def test_a_certificate_takes_the_place_of_a_password(tls_server: TlsServer) -> None:
    url = by_name(tls_server).replace("postgres:secret@", "certified@")
    trusted = _VERIFIED | {"POSTGRES_SSL_ROOT_CERT": str(tls_server.authority)}
    shown = {
        "POSTGRES_SSL_CERT": str(tls_server.certificate),
        "POSTGRES_SSL_KEY": str(tls_server.key),
    }
    await open_and_ask(url, trusted | shown)
    with pytest.raises(ConfigurationError):
        await open_and_ask(url.replace("certified@", "certified:secret@"), trusted)


async def test_a_key_that_others_may_read_is_refused(tls_server: TlsServer, tmp_path: Path) -> None:
    key = tmp_path / "open.key"
    key.write_bytes(tls_server.key.read_bytes())
    key.chmod(0o644)
    options = _VERIFIED | {
        "POSTGRES_SSL_ROOT_CERT": str(tls_server.authority),
        "POSTGRES_SSL_CERT": str(tls_server.certificate),
        "POSTGRES_SSL_KEY": str(key),
    }
    with pytest.raises(ConfigurationError) as caught:
        await open_and_ask(by_name(tls_server), options)
    assert "POSTGRES_SSL_KEY" in caught.value.remedy


async def test_a_wrong_password_over_tls_is_a_matter_of_the_address(
    tls_server: TlsServer,
) -> None:
    trusted = _VERIFIED | {"POSTGRES_SSL_ROOT_CERT": str(tls_server.authority)}
    with pytest.raises(ConfigurationError, match="refuses the login") as caught:
        await open_and_ask(by_name(tls_server).replace(":secret@", ":other@"), trusted)
    assert caught.value.setting == "POSTGRES_URL"


@pytest.mark.parametrize(
    ("url", "options", "setting"),
    [
        (_URL, {}, "POSTGRES_SSL_MODE"),
        (_URL, {"POSTGRES_SSL_MODE": "disable"}, "POSTGRES_SSL_MODE"),
        (_URL, {"POSTGRES_SSL_MODE": "prefer"}, "POSTGRES_SSL_MODE"),
        (_URL, {"POSTGRES_SSL_MODE": "require"}, "POSTGRES_SSL_MODE"),
        (f"{_URL}?sslmode=require", _VERIFIED, "POSTGRES_SSL_MODE"),
        ("postgresql://user@db.example/memories", _VERIFIED, "POSTGRES_URL"),
        ("postgresql://user:@db.example/memories", _VERIFIED, "POSTGRES_URL"),
        ("postgresql:///memories?password=secret", _VERIFIED, "POSTGRES_URL"),
        ("postgresql:///memories?password=secret&host=/run", _VERIFIED, "POSTGRES_URL"),
        ("postgresql:///memories?password=secret&host=db.example,/run", _VERIFIED, "POSTGRES_URL"),
    ],
)
def test_what_is_not_secure_is_refused_by_the_name_of_the_variable(
    url: str, options: Mapping[str, str], setting: str
) -> None:
    context = BackendContext(data_folder=Path(), options=options, secure=True)
    for create in (create_kv, create_graph):
        with pytest.raises(ConfigurationError) as caught:
            create(url, context)
        assert caught.value.setting == setting
        assert "secret" not in str(caught.value)


def test_a_mode_of_the_url_counts_before_that_of_the_environment() -> None:
    settings = PostgresSettings.parse(
        f"{_URL}?sslmode=verify-ca", {"POSTGRES_SSL_MODE": "disable"}, secure=True
    )
    assert "sslmode=verify-ca" in settings.conninfo
