"""What a URL says about a Redis."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sfm_backend_redis.settings import Address, Durability, Form, RedisSettings
from sfm_core.errors import ConfigurationError
from sfm_core.plugins import load_plugins
from sfm_core.registry import PortName


def parse(url: str, **options: str) -> RedisSettings:
    return RedisSettings.parse(url, options)


def test_a_server_has_usual_port_database_and_prefix() -> None:
    expected = RedisSettings(addresses=(Address(host="cache", port=6379),))
    assert parse("redis://cache") == expected
    assert (expected.database, expected.prefix, expected.tls) == (0, "sfm", False)
    assert expected.durability is Durability.MEMORY


@pytest.mark.smoke
def test_every_part_of_a_url_counts() -> None:
    found = parse(
        "rediss://me:p%40ss@host:1/3?durability=replicas&replicas=2&prefix=a.b-c&timeout_seconds=0.5"
        "&connect_timeout_seconds=2&max_connections=7&ca_file=/ca&cert_file=/c&key_file=/k"
    )
    assert found == RedisSettings(
        form=Form.TLS,
        addresses=(Address(host="host", port=1),),
        database=3,
        username="me",
        password="p@ss",  # noqa: S106 - of nobody
        tls=True,
        ca_file="/ca",
        cert_file="/c",
        key_file="/k",
        prefix="a.b-c",
        durability=Durability.REPLICAS,
        replicas=2,
        timeout=timedelta(seconds=0.5),
        connect_timeout=timedelta(seconds=2),
        max_connections=7,
    )


def test_the_login_comes_from_the_options_where_the_url_has_none() -> None:
    options = {"REDIS_USERNAME": "me", "REDIS_PASSWORD": "secret"}
    found = parse("redis://host", **options)
    assert (found.username, found.password) == ("me", "secret")
    assert parse("redis://you:own@host", **options).password == "own"  # noqa: S105 - of nobody


def test_no_password_is_shown() -> None:
    found = parse("redis://me:hidden@host")
    assert "hidden" not in f"{found!r} {found.place}"


def test_sentinels_have_a_service_and_their_own_port() -> None:
    found = parse("redis+sentinel://a,b:7/truth/2?tls=true")
    assert found.addresses == (Address(host="a", port=26379), Address(host="b", port=7))
    assert (found.service, found.database, found.tls) == ("truth", 2, True)


def test_a_cluster_has_several_nodes() -> None:
    found = parse("redis+cluster://a:1,[::1]:2")
    assert found.addresses == (Address(host="a", port=1), Address(host="::1", port=2))


def test_a_unix_socket_is_a_path() -> None:
    found = parse("redis+unix:///run/redis.sock?db=4")
    assert (found.path, found.database) == ("/run/redis.sock", 4)


@pytest.mark.parametrize(
    "url",
    [
        "redis://a,b",
        "redis://a/x",
        "redis://a/1/2",
        "redis://a:99999",
        "redis://a?durability=always",
        "redis://a?prefix={a}",
        "redis://a?prefix=",
        "redis://a?timeout_seconds=0",
        "redis://a?timeout_seconds=nan",
        "redis://a?timeout_seconds=soon",
        "redis://a?replicas=0",
        "redis://a?max_connections=-1",
        "redis://a?unknown=1",
        "redis://a?tls=true",
        "redis://a?db=1",
        "redis://a?novalue",
        "redis://a#fragment",
        "redis+sentinel://a",
        "redis+cluster://a/1",
        "redis+unix://host/path",
        "memcached://a",
    ],
)
def test_what_cannot_work_is_refused_with_a_remedy(url: str) -> None:
    with pytest.raises(ConfigurationError, match="redis://host:6379/0"):
        parse(url)


@pytest.mark.parametrize("port", [PortName.KV, PortName.GRAPH, PortName.CACHE])
@pytest.mark.parametrize("form", list(Form))
def test_each_port_is_offered_under_each_scheme(form: Form, port: PortName) -> None:
    found = load_plugins().registry.find(port, f"{form}:")
    assert found.distribution == "somafractalmemory-backend-redis"
