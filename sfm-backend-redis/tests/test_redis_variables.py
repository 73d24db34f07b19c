"""What the environment says about a Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from sfm_backend_redis.settings import Address, Form, RedisSettings
from sfm_backend_redis.variables import choose
from sfm_core.errors import ConfigurationError
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext, PortName


def chosen(url: str, **options: str) -> RedisSettings:
    context = BackendContext(data_folder=Path("unused"), options=options)
    return choose(url, context, setting="SFM_KV_URL")


def at(host: str, port: int = 6379) -> tuple[Address, ...]:
    return (Address(host=host, port=port),)


def test_the_server_is_on_this_machine_where_nothing_is_said() -> None:
    assert chosen("redis:") == RedisSettings(addresses=at("localhost"))


@pytest.mark.smoke
def test_host_and_port_are_used() -> None:
    found = chosen("redis:", REDIS_HOST="cache", REDIS_PORT="6380", REDIS_PASSWORD="p")  # noqa: S106 - of nobody
    assert found == RedisSettings(addresses=at("cache", 6380), password="p")  # noqa: S106 - of nobody


def test_an_address_of_version_6_is_a_host() -> None:
    assert chosen("redis:", REDIS_HOST="::1").addresses == at("::1")


def test_a_port_that_a_container_platform_wrote_is_understood() -> None:
    found = chosen("redis:", REDIS_HOST="redis", REDIS_PORT="tcp://10.43.0.7:6380")
    assert found.addresses == at("redis", 6380)


def test_the_url_outweighs_the_host() -> None:
    assert chosen("redis:", REDIS_URL="redis://a:1/2", REDIS_HOST="b").addresses == at("a", 1)


@pytest.mark.parametrize(
    ("url", "form"),
    [
        ("redis://host", Form.PLAIN),
        ("rediss://host", Form.TLS),
        ("redis+unix:///run/redis.sock", Form.UNIX),
        ("unix:///run/redis.sock", Form.UNIX),
        ("redis+sentinel://host/service", Form.SENTINEL),
        ("redis+cluster://host", Form.CLUSTER),
    ],
)
def test_the_url_has_any_form(url: str, form: Form) -> None:
    assert chosen("redis:", REDIS_URL=url).form is form


def test_a_socket_may_have_its_login_in_the_query() -> None:
    found = chosen("redis:", REDIS_URL="unix:///run/redis.sock?db=2&username=me&password=secret")
    assert (found.path, found.database) == ("/run/redis.sock", 2)
    assert (found.username, found.password) == ("me", "secret")


def test_an_url_that_names_a_server_takes_none_from_the_variables() -> None:
    assert chosen("redis://own", REDIS_URL="redis://other").addresses == at("own")
    assert chosen("redis://", REDIS_URL="redis://other").addresses == at("localhost")


def test_options_of_the_slot_outweigh_those_of_the_variable() -> None:
    found = chosen("redis:?prefix=b", REDIS_URL="redis://host?prefix=a&timeout_seconds=1")
    assert found.prefix == "b"
    assert found.timeout.total_seconds() == 1


def test_the_login_completes_the_url() -> None:
    found = chosen("redis:", REDIS_URL="redis://host", REDIS_USERNAME="me", REDIS_PASSWORD="p")  # noqa: S106 - of nobody
    assert (found.username, found.password) == ("me", "p")


@pytest.mark.parametrize("said", ["true", "TRUE", "1"])
def test_tls_is_switched_on_by_a_variable(said: str) -> None:
    files = {"REDIS_TLS_CA_FILE": "/ca", "REDIS_TLS_CERT_FILE": "/c", "REDIS_TLS_KEY_FILE": "/k"}
    found = chosen("redis:", REDIS_HOST="host", REDIS_TLS=said, **files)
    assert (found.form, found.tls) == (Form.TLS, True)
    assert (found.ca_file, found.cert_file, found.key_file) == ("/ca", "/c", "/k")


def test_tls_is_switched_on_by_the_scheme() -> None:
    assert chosen("rediss:", REDIS_HOST="host").tls


def test_tls_is_switched_on_for_sentinels_too() -> None:
    found = chosen("redis:", REDIS_URL="redis+sentinel://host/service", REDIS_TLS="true")
    assert (found.form, found.tls) == (Form.SENTINEL, True)


def test_tls_is_off_where_it_is_said_so() -> None:
    assert not chosen("redis:", REDIS_HOST="host", REDIS_TLS="false", REDIS_TLS_CA_FILE="/ca").tls


def test_sentinels_may_have_a_login_of_their_own() -> None:
    login = {"REDIS_SENTINEL_USERNAME": "guard", "REDIS_SENTINEL_PASSWORD": "secret"}
    found = chosen("redis:", REDIS_URL="redis+sentinel://host/service", **login)
    assert (found.sentinel_username, found.sentinel_password) == ("guard", "secret")
    assert "secret" not in repr(found)


@pytest.mark.parametrize(
    ("options", "setting"),
    [
        ({"REDIS_URL": "http://host"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://:secret@host:secret"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://:se/cret@host"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://[secret"}, "REDIS_URL"),
        ({"REDIS_URL": "redis://host?password=secret"}, "REDIS_URL"),
        ({"REDIS_HOST": "a,b"}, "REDIS_HOST"),
        ({"REDIS_PORT": "0"}, "REDIS_PORT"),
        ({"REDIS_PORT": "port"}, "REDIS_PORT"),
        ({"REDIS_TLS": "perhaps"}, "REDIS_TLS"),
    ],
)
def test_a_variable_that_cannot_work_is_named_without_its_secrets(
    options: dict[str, str], setting: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        chosen("redis:", **options)
    assert caught.value.setting == setting
    assert "cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "options", "expected"),
    [
        ("redis:", {}, False),
        ("redis:", {"REDIS_PORT": "6379"}, False),
        ("redis:", {"REDIS_URL": ""}, False),
        ("redis:?prefix=x", {"REDIS_HOST": "host"}, True),
        ("redis:", {"REDIS_URL": "redis://host"}, True),
        ("redis://host", {}, True),
    ],
)
def test_a_truth_is_looked_for_where_somebody_named_a_server(
    url: str,
    options: dict[str, str],
    expected: bool,  # noqa: FBT001 - a case
) -> None:
    context = BackendContext(data_folder=Path("unused"), options=options)
    assert load_plugins().registry.find(PortName.KV, url).is_set_up(url, context) is expected
