"""What becomes of good and of broken plugins, with distributions that are really installed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from sfm_core.errors import ConfigurationError, PluginError
from sfm_core.hookspecs import API_VERSION
from sfm_core.plugins import PluginInfo, Plugins, PluginState, load_plugins
from sfm_core.registry import BackendContext, PortName

GROUP = "sfm-throwaway"
Install = Callable[..., None]

GOOD = """
    from sfm_core.hookspecs import hookimpl

    class Cache:
        def __init__(self, url, context):
            self.url = url

    @hookimpl
    def sfm_register_caches(register):
        register(
            "{scheme}",
            Cache,
            summary="A cache.",
            capabilities=frozenset({{"fast"}}),
            options={{"ACME_KEY": "The key."}},
        )
"""


def good(scheme: str) -> str:
    return GOOD.format(scheme=scheme)


def load(*disabled: str) -> Plugins:
    return load_plugins(group=GROUP, disabled=disabled)


def only(plugins: Plugins) -> PluginInfo:
    (info,) = plugins.installed
    return info


def test_backends_of_an_installed_distribution_can_be_chosen(
    install: Install, tmp_path: Path
) -> None:
    install("acme-cache", good("acme"), entry_point="acme", version="2.1")

    plugins = load()

    context = BackendContext(data_folder=tmp_path)
    cache = plugins.registry.create_cache("acme://host", context)
    assert getattr(cache, "url", None) == "acme://host"


def test_an_active_plugin_is_listed_with_its_distribution_and_backends(install: Install) -> None:
    install("acme-cache", good("acme"), entry_point="acme", version="2.1")

    info = only(load())

    assert (info.name, info.distribution, info.version) == ("acme", "acme-cache", "2.1")
    assert (info.state, info.reason) == (PluginState.ACTIVE, "")
    (backend,) = info.backends
    assert (backend.port, backend.scheme) == (PortName.CACHE, "acme")
    assert backend.distribution == "acme-cache"
    assert backend.capabilities == {"fast"}
    assert backend.options == {"ACME_KEY": "The key."}


def test_our_own_backends_are_found_by_entry_point() -> None:
    infos = {info.name: info for info in load_plugins().installed}

    assert infos["inprocess"].distribution == "somafractalmemory-core"
    assert {one.port for one in infos["inprocess"].backends} == set(PortName)


def test_nothing_is_kept_between_two_loads(install: Install) -> None:
    install("acme-cache", good("acme"))

    assert load().registry is not load().registry


def test_a_plugin_can_be_handed_in_without_being_installed(install: Install) -> None:
    install("acme-cache", good("acme"))

    plugins = load_plugins(group=GROUP, extra={"mine": ModuleType("mine")})

    assert [info.name for info in plugins.installed] == ["acme-cache", "mine"]


class TestQuarantine:
    @pytest.mark.parametrize(
        ("source", "reason"),
        [
            pytest.param("import no_such_driver", "ModuleNotFoundError", id="missing driver"),
            pytest.param("1 / 0", "ZeroDivisionError: division by zero", id="exception"),
            pytest.param("raise SystemExit(3)", "SystemExit: 3", id="exit"),
            pytest.param("def broken(:", "SyntaxError", id="syntax"),
            pytest.param(None, "ModuleNotFoundError", id="module is not there"),
        ],
    )
    def test_a_plugin_that_cannot_be_imported_is_listed_with_the_reason(
        self, install: Install, source: str | None, reason: str
    ) -> None:
        install("broken", source)

        info = only(load())

        assert info.state is PluginState.QUARANTINED
        assert "could not be imported" in info.reason
        assert reason in info.reason

    def test_a_broken_plugin_does_not_take_the_others_down(self, install: Install) -> None:
        install("broken", "1 / 0")
        install("acme-cache", good("acme"))

        plugins = load()

        assert plugins.registry.find(PortName.CACHE, "acme:").scheme == "acme"

    def test_a_quarantine_is_logged_with_the_plugin_and_the_reason(
        self, install: Install, caplog: pytest.LogCaptureFixture
    ) -> None:
        install("broken", "1 / 0")

        with caplog.at_level(logging.WARNING, "sfm_core.plugins"):
            load()

        assert "The plugin broken of broken could not be imported" in caplog.text

    @pytest.mark.parametrize("version", [API_VERSION + 1, 0, "one"])
    def test_a_plugin_for_another_api_is_listed_with_both_versions(
        self, install: Install, version: object
    ) -> None:
        install("old", f"SFM_API_VERSION = {version!r}\n" + "raise_nothing = True")

        info = only(load())

        assert info.state is PluginState.QUARANTINED
        assert repr(version) in info.reason
        assert f"has version {API_VERSION}" in info.reason

    def test_a_plugin_for_another_api_is_not_held_against_the_hooks_of_this_one(
        self, install: Install
    ) -> None:
        install(
            "future",
            """
            from sfm_core.hookspecs import hookimpl

            SFM_API_VERSION = 99

            @hookimpl
            def sfm_register_dreams(register, night):
                pass
            """,
        )

        assert only(load()).state is PluginState.QUARANTINED

    def test_a_plugin_for_this_api_is_active(self, install: Install) -> None:
        install("current", f"SFM_API_VERSION = {API_VERSION}")

        assert only(load()).state is PluginState.ACTIVE

    def test_a_hook_that_raises_withdraws_everything_its_plugin_offered(
        self, install: Install
    ) -> None:
        install(
            "half",
            """
            from sfm_core.hookspecs import hookimpl

            @hookimpl
            def sfm_register_caches(register):
                register("half", dict, summary="Good.")
                raise KeyError("HALF_PASSWORD")
            """,
        )

        plugins = load()

        assert only(plugins).state is PluginState.QUARANTINED
        assert "failed to register (KeyError: 'HALF_PASSWORD')" in only(plugins).reason
        assert list(plugins.registry) == []

    def test_a_module_behind_two_entry_points_counts_once(self, install: Install) -> None:
        install("first", good("acme"), module="throwaway_shared")
        install("second", None, module="throwaway_shared")

        first, second = load().installed

        assert first.state is PluginState.ACTIVE
        assert second.state is PluginState.QUARANTINED
        assert "is the same object as the plugin first of first" in second.reason


class TestChoosing:
    def test_a_scheme_whose_plugin_is_known_to_be_in_quarantine_is_refused_with_the_reason(
        self, install: Install
    ) -> None:
        install(
            "half",
            """
            from sfm_core.hookspecs import hookimpl

            @hookimpl
            def sfm_register_caches(register):
                register("half", dict, summary="Good.")
                raise KeyError("HALF_PASSWORD")
            """,
        )

        with pytest.raises(PluginError, match=r"half of half failed to register.*HALF_PASSWORD"):
            load().registry.find(PortName.CACHE, "half:")

    def test_a_scheme_that_nobody_offers_names_the_plugins_that_never_said_what_they_offer(
        self, install: Install
    ) -> None:
        install("broken", "import no_such_driver")

        with pytest.raises(PluginError, match=r"broken of broken could not.*no_such_driver"):
            load().registry.find(PortName.KV, "theirs:")

    def test_a_scheme_of_a_disabled_plugin_is_refused_with_that_reason(
        self, install: Install
    ) -> None:
        install("acme-cache", good("acme"))

        with pytest.raises(PluginError, match="acme-cache is disabled by SFM_DISABLED_PLUGINS"):
            load("acme-cache").registry.find(PortName.CACHE, "acme:")

    def test_a_scheme_that_nobody_offers_names_those_that_are_offered(
        self, install: Install
    ) -> None:
        install("acme-cache", good("acme"))

        with pytest.raises(ConfigurationError, match="use one of: acme") as caught:
            load().registry.find(PortName.CACHE, "amce:")

        assert caught.value.setting == "SFM_CACHE_URL"
        assert not isinstance(caught.value, PluginError)


class TestDisabling:
    @pytest.mark.parametrize("name", ["acme", "acme-cache", "Acme_Cache"])
    def test_a_plugin_is_disabled_by_entry_point_or_distribution(
        self, install: Install, name: str
    ) -> None:
        install("acme-cache", good("acme"), entry_point="acme")

        plugins = load(name)

        assert only(plugins).state is PluginState.DISABLED
        assert plugins.unknown_disabled == ()

    def test_a_disabled_plugin_is_not_imported(self, install: Install) -> None:
        install("acme-cache", good("acme"))

        load("acme-cache")

        assert "throwaway_acme_cache" not in sys.modules

    def test_a_name_that_no_plugin_has_is_reported(
        self, install: Install, caplog: pytest.LogCaptureFixture
    ) -> None:
        install("acme-cache", good("acme"))

        with caplog.at_level(logging.WARNING, "sfm_core.plugins"):
            plugins = load("acme-cahce")

        assert plugins.unknown_disabled == ("acme-cahce",)
        assert "'acme-cahce'" in caplog.text

    def test_disabling_one_resolves_a_scheme_that_two_offer(self, install: Install) -> None:
        install("first", good("acme"))
        install("second", good("acme"))

        found = load("second").registry.find(PortName.CACHE, "acme:")

        assert found.distribution == "first"
