"""Mistakes in a plugin that stop the start, each with a message that names the plugin."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sfm_core.errors import PluginError
from sfm_core.plugins import Plugins, load_plugins
from sfm_core.registry import PortName

GROUP = "sfm-throwaway"
Install = Callable[..., None]

GOOD = """
    from sfm_core.hookspecs import hookimpl

    @hookimpl
    def sfm_register_{port}(register):
        register("acme", dict, summary="A backend.")
"""


def load() -> Plugins:
    return load_plugins(group=GROUP)


BREACHES = {
    "misspelt hook": (
        """
        from sfm_core.hookspecs import hookimpl

        @hookimpl
        def sfm_register_vektor_stores(register):
            pass
        """,
        r"bad of bad.*unknown hook 'sfm_register_vektor_stores'",
    ),
    "unmarked hook": (
        """
        def sfm_register_caches(register):
            pass
        """,
        r"bad of bad defines sfm_register_caches without marking it",
    ),
    "wrong signature": (
        """
        from sfm_core.hookspecs import hookimpl

        @hookimpl
        def sfm_register_caches(registry):
            pass
        """,
        r"bad of bad.*sfm_register_caches.*\{'registry'\}",
    ),
    "coroutine": (
        """
        from sfm_core.hookspecs import hookimpl

        @hookimpl
        async def sfm_register_caches(register):
            pass
        """,
        r"bad of bad implements sfm_register_caches as a coroutine function",
    ),
    "asynchronous generator": (
        """
        from sfm_core.hookspecs import hookimpl

        @hookimpl
        async def sfm_register_caches(register):
            yield
        """,
        r"bad of bad implements sfm_register_caches as a generator",
    ),
    "generator": (
        """
        from sfm_core.hookspecs import hookimpl

        @hookimpl
        def sfm_register_caches(register):
            yield
        """,
        r"bad of bad implements sfm_register_caches as a generator",
    ),
    "malformed scheme": (
        """
        from sfm_core.hookspecs import hookimpl

        @hookimpl
        def sfm_register_caches(register):
            register("Bad Scheme", dict, summary="Bad.")
        """,
        r"bad registers the malformed scheme 'Bad Scheme'",
    ),
    "factory that cannot be called": (
        """
        from sfm_core.hookspecs import hookimpl

        @hookimpl
        def sfm_register_caches(register):
            register("bad", "dict", summary="Bad.")
        """,
        r"bad registers 'dict' as the factory",
    ),
    "malformed variable": (
        """
        from sfm_core.hookspecs import hookimpl

        @hookimpl
        def sfm_register_caches(register):
            register("bad", dict, summary="Bad.", options={"bad-url": "Where it is."})
        """,
        r"bad declares the variable 'bad-url' for its cache scheme 'bad'",
    ),
    "variable of the server": (
        """
        from sfm_core.hookspecs import hookimpl

        @hookimpl
        def sfm_register_caches(register):
            register("bad", dict, summary="Bad.", options={"SFM_CACHE_URL": "Where it is."})
        """,
        r"bad declares the variable 'SFM_CACHE_URL'",
    ),
    "malformed mode": (
        """
        from sfm_core.hookspecs import hookimpl
        from sfm_core.modes import Mode
        from sfm_core.settings import Slots

        @hookimpl
        def sfm_register_modes(register):
            slots = Slots(kv="a:", vector="a:", graph="a:", cache="a:", embedder="a:")
            register("Edge Case", Mode(summary="Bad.", slots=slots))
        """,
        r"bad registers a mode with the malformed name 'Edge Case'",
    ),
    "one scheme twice": (
        """
        from sfm_core.hookspecs import hookimpl

        @hookimpl
        def sfm_register_caches(register):
            register("bad", dict, summary="Bad.")
            register("bad", dict, summary="Bad again.")
        """,
        r"'bad' is offered by bad and by bad",
    ),
}


class TestBreaches:
    @pytest.mark.parametrize("breach", BREACHES)
    def test_a_mistake_in_a_plugin_stops_the_start(self, install: Install, breach: str) -> None:
        source, message = BREACHES[breach]
        install("bad", source)

        with pytest.raises(PluginError, match=message) as caught:
            load()

        assert "\n" not in str(caught.value)
        assert caught.value.remedy

    def test_a_refused_registration_cannot_be_hidden_by_the_plugin(self, install: Install) -> None:
        install(
            "bad",
            """
            from sfm_core.hookspecs import hookimpl

            @hookimpl
            def sfm_register_caches(register):
                try:
                    register("Bad Scheme", dict, summary="Bad.")
                except Exception:
                    pass
            """,
        )

        with pytest.raises(PluginError, match="malformed scheme"):
            load()

    def test_a_scheme_offered_twice_is_refused_with_both_distributions(
        self, install: Install
    ) -> None:
        install("first-dist", GOOD.format(port="caches"))
        install("second-dist", GOOD.format(port="caches"))

        with pytest.raises(
            PluginError, match=r"'acme' is offered by first-dist and by second-dist"
        ):
            load()

    def test_the_same_scheme_on_two_ports_is_no_conflict(self, install: Install) -> None:
        install("first", GOOD.format(port="caches"))
        install("second", GOOD.format(port="kv_stores"))

        assert [one.port for one in load().registry] == [PortName.CACHE, PortName.KV]
