"""URLs of Qdrant."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from sfm_backend_qdrant._urls import parse_url
from sfm_backend_qdrant.settings import Grpc, QdrantSettings, Quantization
from sfm_core.errors import ConfigurationError

DATA = Path("/data")


def parse(url: str, **options: str) -> QdrantSettings:
    return parse_url(url, DATA, options)


def parse_secure(url: str, **options: str) -> QdrantSettings:
    return parse_url(url, DATA, options, secure=True)


def test_a_host_is_enough() -> None:
    settings = parse("qdrant://db")
    assert (settings.host, settings.port, settings.tls, settings.local) == (
        "db",
        6333,
        False,
        False,
    )


def test_the_other_scheme_encrypts() -> None:
    assert parse("qdrants://db:443/under/path") == QdrantSettings(
        scheme="qdrants", host="db", port=443, path="under/path", tls=True
    )


def test_every_option_is_read() -> None:
    url = "qdrant://db?timeout_seconds=3&grpc=never&grpc_port=7&prefix=mine-&scan_limit=9&ca_file=/ca&replicas=3&shards=6&quantization=scalar"
    assert parse(url) == QdrantSettings(
        scheme="qdrant",
        host="db",
        timeout=timedelta(seconds=3),
        grpc=Grpc.NEVER,
        grpc_port=7,
        prefix="mine-",
        scan_limit=9,
        replicas=3,
        shards=6,
        quantization=Quantization.SCALAR,
        ca_file=Path("/ca"),
    )


def test_the_key_comes_from_the_options_and_is_in_no_message() -> None:
    settings = parse("qdrant://db", QDRANT_API_KEY="secret")
    assert settings.api_key == "secret"
    assert "secret" not in settings.place


def test_a_key_in_the_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(ConfigurationError, match="QDRANT_API_KEY") as caught:
        parse("qdrant://:secret@db")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("qdrant+local:", None),
        ("qdrant+local:points", DATA / "points"),
        ("qdrant+local:///else/where", Path("/else/where")),
    ],
)
def test_the_local_mode_is_in_memory_or_in_a_folder(url: str, folder: Path | None) -> None:
    settings = parse(url)
    assert settings.local
    assert settings.folder == folder


@pytest.mark.parametrize(
    ("url", "folder"),
    [
        ("qdrant+edge:", DATA / "qdrant"),
        ("qdrant+edge:points", DATA / "points"),
        ("qdrant+edge:///else/where", Path("/else/where")),
    ],
)
def test_the_engine_in_a_worker_has_a_folder(url: str, folder: Path) -> None:
    settings = parse(f"{url}?durability=normal&timeout_seconds=3&scan_limit=9")
    assert (settings.folder, settings.durable) == (folder, False)
    assert (settings.timeout, settings.scan_limit) == (timedelta(seconds=3), 9)
    assert settings.embedded


@pytest.mark.parametrize(
    "url",
    [
        "qdrant+edge://host/folder",
        "qdrant+edge:?durability=maybe",
        "qdrant+edge:?prefix=x",
        "qdrant:folder",
        "qdrant:///folder",
        "qdrant://@:6333",
        "qdrant://db:99999",
        "qdrant://db#x",
        "qdrant://db?timeout_seconds=0",
        "qdrant://db?grpc=maybe",
        "qdrant://db?grpc_port=99999",
        "qdrant://db?shards=0",
        "qdrant://db?quantization=binary",
        "qdrant://db?unknown=1",
        "qdrant://db?nonsense",
        "qdrant://db?durability=normal",
        "qdrant+local://host/folder",
        "qdrant+local:folder?prefix=x",
    ],
)
def test_what_cannot_work_is_refused_with_a_remedy(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(url)
    assert caught.value.remedy


def test_a_bare_url_means_the_server_of_the_compose_network() -> None:
    settings = parse("qdrant:", QDRANT_URL="", QDRANT_HOST="", QDRANT_TLS="")
    assert (settings.host, settings.port, settings.tls) == ("qdrant", 6333, False)


@pytest.mark.parametrize(
    ("url", "tls"),
    [
        ("http://db:7000/under?prefix=a-", False),
        ("https://db:7000/under?prefix=a-", True),
        ("qdrant://db:7000/under?prefix=a-", False),
        ("qdrants://db:7000/under?prefix=a-", True),
    ],
)
def test_a_bare_url_takes_the_server_from_qdrant_url(url: str, tls: bool) -> None:  # noqa: FBT001 - a case
    settings = parse("qdrant:", QDRANT_URL=url, QDRANT_HOST="other", QDRANT_API_KEY="secret")
    assert settings == QdrantSettings(
        scheme="qdrant",
        host="db",
        port=7000,
        path="under",
        tls=tls,
        prefix="a-",
        api_key="secret",
    )


def test_a_bare_url_takes_the_server_from_host_and_port() -> None:
    settings = parse(
        "qdrant:",
        QDRANT_HOST="db",
        QDRANT_PORT="1",
        QDRANT_GRPC_PORT="2",
        QDRANT_TLS="True",
    )
    assert settings == QdrantSettings(scheme="qdrant", host="db", port=1, grpc_port=2, tls=True)


def test_a_host_may_be_an_address() -> None:
    assert parse("qdrant:", QDRANT_HOST="::1").host == "::1"
    assert parse("qdrant:", QDRANT_HOST="[::1]").host == "::1"


def test_options_nearer_to_the_choice_count_more() -> None:
    settings = parse(
        "qdrants:?prefix=b-",
        QDRANT_URL="https://db?prefix=a-&grpc_port=2",
        QDRANT_GRPC_PORT="3",
    )
    assert (settings.prefix, settings.grpc_port, settings.tls) == ("b-", 2, True)


def test_variables_do_not_touch_a_url_that_names_a_server() -> None:
    settings = parse("qdrant://db", QDRANT_URL="https://other", QDRANT_GRPC_PORT="2")
    assert (settings.host, settings.tls, settings.grpc_port) == ("db", False, 6334)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("QDRANT_URL", "db:6333"),
        ("QDRANT_URL", "ftp://db"),
        ("QDRANT_URL", "http://"),
        ("QDRANT_URL", "http://[::1"),
        ("QDRANT_HOST", "db:6333"),
        ("QDRANT_HOST", "http://db"),
        ("QDRANT_HOST", "me@db"),
        ("QDRANT_PORT", "tcp://10.0.0.1:6333"),
        ("QDRANT_PORT", "0"),
        ("QDRANT_GRPC_PORT", "99999"),
        ("QDRANT_TLS", "maybe"),
    ],
)
def test_a_variable_that_cannot_be_is_named(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("qdrant:", **{variable: value})
    assert caught.value.setting == variable
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("bare", "options"), [("qdrants:", {}), ("qdrant:", {"QDRANT_TLS": "true"})]
)
def test_encryption_that_was_asked_for_is_not_left_out(bare: str, options: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="QDRANT_URL is not encrypted"):
        parse(bare, QDRANT_URL="http://db", **options)


@pytest.mark.parametrize("url", ["https://:secret@db", "https://db?api_key=secret"])
def test_a_key_in_qdrant_url_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse("qdrant:", QDRANT_URL=url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "options", "setting"),
    [
        ("qdrant://db", {"QDRANT_API_KEY": "k"}, "SFM_VECTOR_URL"),
        ("qdrants://db", {}, "QDRANT_API_KEY"),
        ("qdrant:", {"QDRANT_API_KEY": "k"}, "QDRANT_URL"),
        ("qdrant:", {"QDRANT_API_KEY": "k", "QDRANT_URL": "http://db"}, "QDRANT_URL"),
        ("qdrant:", {"QDRANT_API_KEY": "k", "QDRANT_HOST": "db"}, "QDRANT_TLS"),
        ("qdrant:", {"QDRANT_URL": "https://db"}, "QDRANT_API_KEY"),
        ("qdrant:", {"QDRANT_HOST": "db", "QDRANT_TLS": "true"}, "QDRANT_API_KEY"),
    ],
)
def test_what_security_lacks_is_named(url: str, options: dict[str, str], setting: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_secure(url, **options)
    assert caught.value.setting == setting


@pytest.mark.parametrize("url", ["qdrants://db", "qdrant:", "qdrants:"])
def test_a_server_with_tls_and_key_is_secure(url: str) -> None:
    options = {"QDRANT_URL": "https://db", "QDRANT_API_KEY": "k"}
    assert parse_secure(url, **options).tls


def test_what_stays_on_this_machine_needs_no_encryption() -> None:
    assert parse_secure("qdrant+local:").local
