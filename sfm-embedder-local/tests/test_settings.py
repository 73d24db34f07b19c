from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from sfm_core.errors import ConfigurationError
from sfm_core.plugins import load_plugins
from sfm_core.registry import BackendContext
from sfm_embedder_local import plugin
from sfm_embedder_local.settings import OpenAiSettings, openai_settings, refuse_options


@pytest.fixture
def context(tmp_path: Path) -> BackendContext:
    return BackendContext(data_folder=tmp_path, options={"OPENAI_API_KEY": "secret"})


def test_every_option_of_the_url_is_read(context: BackendContext) -> None:
    url = (
        "openai+http://localhost:11434/v1/?model=nomic&dim=768&revision=2&batch=8&concurrency=2"
        "&max_characters=1000&timeout_seconds=5&deadline_seconds=9"
    )

    assert openai_settings(url, context) == OpenAiSettings(
        endpoint="http://localhost:11434/v1",
        model="nomic",
        dimension=768,
        revision="2",
        api_key="secret",
        batch=8,
        concurrency=2,
        max_characters=1000,
        timeout=timedelta(seconds=5),
        deadline=timedelta(seconds=9),
    )


def test_without_a_host_the_hosted_service_is_meant(context: BackendContext) -> None:
    settings = openai_settings("openai:?model=text-embedding-3-small&dim=1536", context)

    assert settings.endpoint == "https://api.openai.com/v1"


def test_the_key_is_not_shown(context: BackendContext) -> None:
    assert "secret" not in repr(openai_settings("openai:?model=m&dim=3", context))


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("openai:?dim=3", "model"),
        ("openai:?model=m", "dim"),
        ("openai:?model=m&dim=0", "dim"),
        ("openai:?model=m&dim=-3", "dim"),
        ("openai:?model=m&dim=1e3", "dim"),
        ("openai:?model=m&dim=" + "9" * 5000, "dim"),
        ("openai:?model=m&dim=3&colour=red", "colour"),
        ("openai:?model=m&dim=3&batch=0", "batch"),
        ("openai://host/v1?model=m&dim=3", r"openai\+https"),
        ("openai+http:///v1?model=m&dim=3", "host"),
        ("openai+http://host:port/v1?model=m&dim=3", "host"),
        ("openai+https://user:word@host/v1?model=m&dim=3", "OPENAI_API_KEY"),
    ],
)
def test_a_wrong_url_names_what_is_wrong(context: BackendContext, url: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        openai_settings(url, context)


@pytest.mark.parametrize("url", ["static:", "static://", "minilm:"])
def test_a_scheme_alone_is_accepted(url: str) -> None:
    refuse_options(url)


@pytest.mark.parametrize("url", ["static:other", "minilm://host", "static:?dim=64"])
def test_options_where_there_are_none_are_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="no options"):
        refuse_options(url)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("url", "model"),
    [
        ("static:", "wordllama-l2-supercat"),
        ("minilm:", "all-MiniLM-L6-v2-int8"),
        ("openai:?model=m&dim=3", "openai/m"),
        ("openai+http://localhost/v1?model=m&dim=3", "openai/m"),
    ],
)
def test_the_plugin_registers_every_scheme(context: BackendContext, url: str, model: str) -> None:
    registry = load_plugins(group="sfm.none", extra={"embedders": plugin}).registry

    assert registry.create_embedder(url, context).fingerprint.model == model


def test_a_call_without_encryption_is_refused_where_the_mode_requires_it(
    context: BackendContext,
) -> None:
    with pytest.raises(ConfigurationError, match="not called over TLS") as caught:
        openai_settings("openai+http://localhost/v1?model=m&dim=3", replace(context, secure=True))

    assert caught.value.setting == "SFM_EMBEDDER_URL"


def test_a_missing_key_is_refused_where_the_mode_requires_one(tmp_path: Path) -> None:
    secure = BackendContext(data_folder=tmp_path, secure=True)

    with pytest.raises(ConfigurationError, match="no key for the embedder") as caught:
        openai_settings("openai:?model=m&dim=3", secure)

    assert caught.value.setting == "OPENAI_API_KEY"


@pytest.mark.parametrize(
    "url", ["openai:?model=m&dim=3", "openai+https://localhost/v1?model=m&dim=3"]
)
def test_an_encrypted_call_with_a_key_is_enough_for_such_a_mode(
    context: BackendContext, url: str
) -> None:
    assert openai_settings(url, replace(context, secure=True)).api_key == "secret"
