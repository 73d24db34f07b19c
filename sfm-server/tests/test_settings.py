from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from sfm_core.errors import ConfigurationError
from sfm_core.plugins import load_plugins
from sfm_core.settings import EngineSettings
from sfm_server.listing import list_settings
from sfm_server.loading import load_settings
from sfm_server.masking import mask
from sfm_server.settings import Settings, variable_of


def test_nothing_set_means_the_engine_s_own_defaults() -> None:
    settings = load_settings({}).settings
    assert settings.engine_settings() == EngineSettings()
    assert settings.memory_mode == "embedded"


@pytest.mark.smoke
def test_a_variable_sets_its_field() -> None:
    settings = load_settings(
        {"SFM_PORT": "1234", "SFM_INDEX_WAIT_SECONDS": "0.5", "SFM_TEXT_IGNORED_KEYS": "id, url"}
    ).settings
    engine = settings.engine_settings()
    assert settings.port == 1234
    assert engine.index_wait == timedelta(seconds=0.5)
    assert engine.text.ignored_keys == {"id", "url"}


@pytest.mark.parametrize(("said", "told"), [("full", True), ("none", False)])
def test_payloads_can_be_kept_out_of_events(said: str, told: bool) -> None:  # noqa: FBT001 - a case
    settings = load_settings({"SFM_EVENTS_PAYLOAD": said}).settings
    assert settings.engine_settings().event_payloads is told


def test_an_empty_variable_counts_as_unset() -> None:
    assert load_settings({"SOMA_API_TOKEN": "", "SFM_PORT": ""}).settings == Settings()


def test_the_environment_wins_over_the_file_and_the_command_line_over_both(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SFM_PORT=1\nSFM_HOST=from-file\nSOMA_NAMESPACE=from-file\n")
    loaded = load_settings(
        {"SFM_PORT": "2", "SFM_HOST": "from-environment"},
        env_file=file,
        overrides={"SFM_PORT": "3"},
    )
    found = {one.variable: (one.value, one.origin) for one in list_settings(loaded)}
    assert found["SFM_PORT"] == ("3", "command line")
    assert found["SFM_HOST"] == ("from-environment", "environment")
    assert found["SOMA_NAMESPACE"] == ("from-file", str(file))
    assert found["MEMORY_MODE"] == ("embedded", "default")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SFM_PORT", "many"),
        ("SFM_PORT", "70000"),
        ("UVICORN_WORKERS", "0"),
        ("EVENTING_ENABLED", "perhaps"),
        ("SFM_RANKING_DENSE_SHARE", "1.5"),
        ("SFM_RANKING_IMPORTANCE_WEIGHT", "nan"),
        ("SFM_INDEX_WAIT_SECONDS", "-1"),
        ("SFM_TEXT_CONTEXT_WEIGHTS", "1,x"),
        ("SFM_LOG_LEVEL", "loud"),
        ("SOMA_API_TOKEN", "token\n"),
        ("SOMA_API_TOKEN", " token"),
        ("SOMA_API_TOKEN", "to\nken"),
        ("SOMA_API_TOKEN", " "),
    ],
)
def test_a_bad_value_is_one_line_that_names_the_variable(variable: str, value: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_settings({variable: value})
    assert caught.value.setting == variable
    assert variable in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_variable_of_ours_stops_the_start_and_the_near_one_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"SFM_PROT .*Did you mean SFM_PORT\?"):
        load_settings({"SFM_PROT": "1"})


def test_an_unknown_variable_in_the_file_stops_the_start_too(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("SFM_NO_SUCH_THING=1\n")
    with pytest.raises(ConfigurationError, match="SFM_NO_SUCH_THING"):
        load_settings({}, env_file=file)


def test_variables_of_others_are_left_alone() -> None:
    assert load_settings({"PATH": "/bin", "UVICORN_PORT": "x"}).settings == Settings()


def test_variables_of_backends_are_listed_with_who_reads_them() -> None:
    loaded = load_settings({"REDIS_HOST": "cache"})
    found = {one.variable: one for one in list_settings(loaded, load_plugins().readers)}
    assert found["REDIS_HOST"].value == "cache"
    assert found["REDIS_HOST"].origin == "environment"
    assert found["REDIS_HOST"].used_by == "somafractalmemory-backend-redis"
    assert found["POSTGRES_URL"].origin == "default"
    assert found["SFM_PORT"].used_by == ""


def test_no_listing_shows_a_secret() -> None:
    loaded = load_settings(
        {
            "SOMA_API_TOKEN": "hush1",
            "SFM_KV_URL": "theirs://user:hush2@host/db?api_key=hush3",
            "OPENAI_API_KEY": "hush4",
            "POSTGRES_URL": "postgresql://user:hush5/with@host/db",
            "REDIS_PASSWORD": "hush6",
            "SFM_PLUGIN_THEIRS": "hush7",
            "OTHER": "hush8",
        }
    )
    assert "hush" not in repr(list_settings(loaded, load_plugins().readers))
    assert "hush1" not in repr(loaded)
    assert "hush8" not in repr(loaded)


def test_a_bad_token_is_not_repeated_in_the_error() -> None:
    assert mask("a://u:p@h?x=1&token=t") == "a://u:********@h?x=1&token=********"


def test_every_field_has_a_variable_of_its_own_and_a_description() -> None:
    variables = [variable_of(name) for name in Settings.model_fields]
    assert len(set(variables)) == len(variables)
    assert all(field.description for field in Settings.model_fields.values())


def test_what_is_between_single_quotes_stands_for_itself(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("A='${HOME} $x # it\\'s \\\\ '\nB=\"${HOME}!\"\nC=${A}\n")
    loaded = load_settings({"HOME": "/home"}, env_file=file)
    quoted = "${HOME} $x # it's \\\\ "
    assert loaded.options == {"HOME": "/home", "A": quoted, "B": "/home!", "C": quoted}


@pytest.mark.parametrize("line", ["no sign in it!", "A='never closed", 'B="x" and more'])
def test_a_line_of_the_file_that_says_nothing_is_named_and_not_shown(
    tmp_path: Path, line: str
) -> None:
    file = tmp_path / ".env"
    file.write_text(f"SOMA_NAMESPACE=x\n{line}\n")
    with pytest.raises(ConfigurationError) as refused:
        load_settings({}, env_file=file)
    assert refused.value.message == f"Line 2 of {file} is no NAME=value."
