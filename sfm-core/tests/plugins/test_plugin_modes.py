"""Modes that plugins offer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sfm_core.errors import ConfigurationError, PluginError
from sfm_core.modes import Mode, OfferedMode
from sfm_core.plugins import Plugins, load_plugins
from sfm_core.settings import Slots

GROUP = "sfm-throwaway"
Install = Callable[..., None]
EDGE = """
    from sfm_core.hookspecs import hookimpl
    from sfm_core.modes import Mode
    from sfm_core.settings import Slots

    @hookimpl
    def sfm_register_modes(register):
        slots = Slots(kv="edge:", vector="edge:", graph="edge:", cache="edge:", embedder="edge:")
        register("edge", Mode(summary="At the edge.", slots=slots))
"""
SLOTS = Slots(kv="a:", vector="a:", graph="a:", cache="a:", embedder="a:")
OURS = OfferedMode("edge", Mode(summary="Ours.", slots=SLOTS), "the-server")


def load(*modes: OfferedMode, disabled: str = "") -> Plugins:
    return load_plugins(group=GROUP, modes=modes, disabled=(disabled,) if disabled else ())


def test_a_mode_of_a_plugin_can_be_chosen(install: Install) -> None:
    install("acme-edge", EDGE)

    plugins = load()

    assert plugins.modes.find("edge").slots.kv == "edge:"
    (info,) = plugins.installed
    assert [(one.name, one.distribution) for one in info.modes] == [("edge", "acme-edge")]


def test_modes_of_the_caller_come_first(install: Install) -> None:
    install("acme-edge", EDGE)

    plugins = load(OURS._replace(name="ours"))

    assert [one.name for one in plugins.modes] == ["ours", "edge"]


def test_a_plugin_cannot_take_the_name_of_a_mode_of_the_caller(install: Install) -> None:
    install("acme-edge", EDGE)

    with pytest.raises(PluginError, match=r"'edge' is offered by the-server and by acme-edge"):
        load(OURS)


def test_a_mode_offered_twice_is_refused_with_both_distributions(install: Install) -> None:
    install("first-dist", EDGE)
    install("second-dist", EDGE)

    with pytest.raises(PluginError, match=r"'edge' is offered by first-dist and by second-dist"):
        load()


def test_an_unknown_mode_is_refused_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match="MEMORY_MODE is 'bogus'") as caught:
        load(OURS).modes.find("bogus")

    assert caught.value.setting == "MEMORY_MODE"
    assert caught.value.remedy == "Use one of: edge."


@pytest.mark.parametrize(
    ("source", "disabled", "reason"),
    [
        pytest.param("import no_such_driver", "", "could not be imported", id="broken"),
        pytest.param(EDGE, "acme-edge", "is disabled by SFM_DISABLED_PLUGINS", id="disabled"),
    ],
)
def test_a_mode_that_an_unusable_plugin_may_have_is_refused_with_the_reason(
    install: Install, source: str, disabled: str, reason: str
) -> None:
    install("acme-edge", source)

    with pytest.raises(PluginError, match=f"MEMORY_MODE is 'edge'.*acme-edge {reason}"):
        load(disabled=disabled).modes.find("edge")
