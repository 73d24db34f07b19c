"""URLs of Qdrant."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from sfm_backend_qdrant.settings import Grpc, QdrantSettings
from sfm_core.errors import ConfigurationError

DATA = Path("/data")


def parse(url: str, **options: str) -> QdrantSettings:
    return QdrantSettings.parse(url, DATA, options)


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
    url = "qdrant://db?timeout_seconds=3&grpc=never&grpc_port=7&prefix=mine-&scan_limit=9&ca_file=/ca&replicas=3"
    assert parse(url) == QdrantSettings(
        scheme="qdrant",
        host="db",
        timeout=timedelta(seconds=3),
        grpc=Grpc.NEVER,
        grpc_port=7,
        prefix="mine-",
        scan_limit=9,
        replicas=3,
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
    "url",
    [
        "qdrant:",
        "qdrant://",
        "qdrant://db:99999",
        "qdrant://db#x",
        "qdrant://db?timeout_seconds=0",
        "qdrant://db?grpc=maybe",
        "qdrant://db?grpc_port=99999",
        "qdrant://db?unknown=1",
        "qdrant://db?nonsense",
        "qdrant+local://host/folder",
        "qdrant+local:folder?prefix=x",
    ],
)
def test_what_cannot_work_is_refused_with_a_remedy(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse(url)
    assert caught.value.remedy
