"""From settings to plugins, mode and backends."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from sfm_core.errors import ConfigurationError, PluginError
from sfm_core.hookspecs import hookimpl
from sfm_core.inprocess.cache import InProcessCache
from sfm_core.modes import Mode, RegisterMode
from sfm_core.plugins import load_plugins
from sfm_core.protocols.cache import Cache
from sfm_core.registry import SECURE, BackendContext, Register
from sfm_core.settings import Slots
from sfm_server.app import create_app
from sfm_server.assembly import open_memory
from sfm_server.consuming.assembly import chosen_handlers
from sfm_server.loading import load_settings
from sfm_server.modes import BUILT_IN, built_in
from sfm_server.selection import Selection, select
from sfm_server.truths import other_truths

MODES = ["embedded", "test", "development", "evented_enterprise", "cloud_managed"]
SLOTS = Slots(kv="memory:", vector="memory:", graph="memory:", cache="edge:", embedder="hashing:")

EVENTFUL = {"MEMORY_MODE": "test", "EVENTING_ENABLED": "true"}


@dataclass(frozen=True, slots=True)
class EdgePlugin:
    """Offers a mode, and a cache that says what it was made with."""

    name: str = "edge"
    capabilities: frozenset[str] = frozenset()
    secure: bool = False
    contexts: list[BackendContext] = field(default_factory=list[BackendContext])

    @hookimpl
    def sfm_register_modes(self, register: RegisterMode) -> None:
        """Offer the mode."""
        mode = Mode(
            summary="At the edge.", slots=SLOTS, secure=self.secure, eventing=False, lasting=False
        )
        register(self.name, mode)

    @hookimpl
    def sfm_register_caches(self, register: Register[Cache]) -> None:
        """Offer the cache."""
        register(
            "edge",
            self._cache,
            summary="At the edge.",
            capabilities=self.capabilities,
            options={"EDGE_PLACE": "Where the edge is."},
        )

    def _cache(self, url: str, context: BackendContext) -> Cache:  # noqa: ARG002 - a factory
        self.contexts.append(context)
        return InProcessCache(clock=context.clock)


def chosen(environ: dict[str, str], **plugins: object) -> Selection:
    loaded = load_settings(environ)
    return select(loaded.settings, options=loaded.options, extra_plugins=plugins)


def bare(mode: str, **urls: str) -> Selection:
    """What a mode chooses where no plugin is installed at all."""
    selection = chosen({"MEMORY_MODE": mode, **urls})
    return replace(selection, plugins=load_plugins(group="sfm.none", modes=built_in()))


class TestBuiltIn:
    def test_the_modes_are_those_that_users_know(self) -> None:
        assert list(BUILT_IN) == MODES

    def test_the_default_is_embedded(self) -> None:
        assert chosen({}).mode is BUILT_IN["embedded"]

    @pytest.mark.parametrize("name", MODES)
    def test_every_mode_can_be_chosen(self, name: str) -> None:
        selection = chosen({"MEMORY_MODE": name})
        selection.require_backends()
        mode = BUILT_IN[name]
        assert selection.slots == (
            mode.slots if mode.eventing else replace(mode.slots, events=None)
        )

    def test_only_the_mode_for_managed_services_is_held_to_encryption_and_credentials(self) -> None:
        secure = [mode for mode in MODES if chosen({"MEMORY_MODE": mode}).context().secure]
        assert secure == ["cloud_managed"]

    def test_a_mode_that_is_none_is_refused_with_those_there_are(self) -> None:
        with pytest.raises(ConfigurationError, match="MEMORY_MODE is 'dream'") as caught:
            chosen({"MEMORY_MODE": "dream"})
        assert caught.value.setting == "MEMORY_MODE"
        assert all(mode in str(caught.value) for mode in MODES)

    def test_an_overridden_slot_changes_only_itself(self) -> None:
        slots = chosen({"MEMORY_MODE": "embedded", "SFM_VECTOR_URL": "theirs://x"}).slots
        assert slots == replace(BUILT_IN["embedded"].slots, vector="theirs://x")

    @pytest.mark.parametrize(
        ("environ", "events"),
        [
            ({}, True),
            ({"MEMORY_MODE": "evented_enterprise"}, True),
            ({"MEMORY_MODE": "test"}, False),
            ({"MEMORY_MODE": "test", "EVENTING_ENABLED": "true"}, True),
            ({"EVENTING_ENABLED": "false"}, False),
        ],
    )
    def test_events_are_on_where_the_mode_or_the_setting_says_so(
        self, environ: dict[str, str], *, events: bool
    ) -> None:
        assert chosen(environ).engine_settings().event_log is events

    def test_no_event_sink_is_opened_where_events_are_off(self) -> None:
        environ = {"SFM_EVENTS_URL": "memory:", "EVENTING_ENABLED": "false"}
        assert chosen(environ).slots.events is None


class TestMissingBackends:
    def test_a_mode_whose_backends_are_not_installed_says_what_to_install(self) -> None:
        with pytest.raises(ConfigurationError) as caught:
            bare("development").require_backends()
        assert caught.value.setting == "MEMORY_MODE"
        assert "\n" not in str(caught.value)
        assert caught.value.remedy == (
            "Run: pip install somafractalmemory-backend-redis "
            "somafractalmemory-backend-qdrant somafractalmemory-eventing-kafka "
            "somafractalmemory-embedder-local"
        )

    def test_a_slot_that_names_what_nobody_offers_is_told_by_its_own_variable(self) -> None:
        with pytest.raises(ConfigurationError) as caught:
            chosen({"SFM_VECTOR_URL": "theirs://x"}).require_backends()
        assert caught.value.setting == "SFM_VECTOR_URL"

    def test_a_backend_that_is_set_aside_is_told_with_the_reason(self) -> None:
        environ = {"MEMORY_MODE": "development", "SFM_DISABLED_PLUGINS": "redis"}
        with pytest.raises(PluginError, match="is disabled by SFM_DISABLED_PLUGINS"):
            chosen(environ).require_backends()


class TestOptions:
    def test_backends_get_what_one_of_them_declares_and_what_is_for_plugins(self) -> None:
        environ = {
            "REDIS_HOST": "cache",
            "EDGE_PLACE": "here",
            "SFM_PLUGIN_THEIRS": "1",
            "OTHER_SECRET": "hush",
            "SFM_PORT": "1",
        }
        context = chosen(environ, edge=EdgePlugin()).context()
        assert dict(context.options) == {
            "REDIS_HOST": "cache",
            "EDGE_PLACE": "here",
            "SFM_PLUGIN_THEIRS": "1",
        }


class TestModeOfAPlugin:
    def test_it_can_be_chosen(self) -> None:
        selection = chosen({"MEMORY_MODE": "edge"}, edge=EdgePlugin())
        assert selection.slots == SLOTS

    def test_it_is_no_mode_without_the_plugin(self) -> None:
        with pytest.raises(ConfigurationError, match="'edge', which is no mode"):
            chosen({"MEMORY_MODE": "edge"})

    def test_it_cannot_take_the_name_of_a_built_in_one(self) -> None:
        with pytest.raises(
            PluginError,
            match="'embedded' is offered by somafractalmemory-server and by this program",
        ):
            chosen({}, edge=EdgePlugin(name="embedded"))

    async def test_it_serves_over_http(self, tmp_path: Path) -> None:
        plugin = EdgePlugin()
        environ = {"MEMORY_MODE": "edge", "SFM_DATA_FOLDER": str(tmp_path), "EDGE_PLACE": "here"}
        loaded = load_settings(environ)
        app = create_app(
            loaded.settings, options=loaded.options, extra_plugins={"edge-plugin": plugin}
        )
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sfm") as api,
        ):
            await api.post("/store", json={"coord": "1", "payload": {"text": "a whale"}})
            answer = await api.post("/recall", json={"query": "whale"})
            assert answer.json() == {"matches": [{"text": "a whale"}]}
            assert (await api.get("/")).json()["mode"] == "edge"
        assert [context.options["EDGE_PLACE"] for context in plugin.contexts] == ["here"]


class TestSecureMode:
    async def test_its_backends_are_told_to_require_encryption_and_credentials(self) -> None:
        plugin = EdgePlugin(secure=True, capabilities=frozenset({SECURE}))
        loaded = load_settings({"MEMORY_MODE": "edge"})
        async with open_memory(loaded.settings, extra_plugins={"edge": plugin}):
            assert [context.secure for context in plugin.contexts] == [True]

    async def test_a_backend_that_cannot_be_held_to_that_is_refused(self) -> None:
        loaded = load_settings({"MEMORY_MODE": "edge"})
        plugin = EdgePlugin(secure=True)
        with pytest.raises(ConfigurationError, match="cannot be held to encryption") as caught:
            async with open_memory(loaded.settings, extra_plugins={"edge": plugin}):
                pass
        assert caught.value.setting == "SFM_CACHE_URL"

    @pytest.mark.parametrize(
        ("given", "variable"),
        [
            ({}, "POSTGRES_URL"),
            ({"POSTGRES_URL": "postgresql://u:p@127.0.0.1/db"}, "POSTGRES_SSL_MODE"),
        ],
    )
    async def test_the_truth_in_the_clear_is_refused_by_the_variable_to_set(
        self, tmp_path: Path, given: dict[str, str], variable: str
    ) -> None:
        environ = {"MEMORY_MODE": "cloud_managed", "SFM_DATA_FOLDER": str(tmp_path), **given}
        loaded = load_settings(environ)
        with pytest.raises(ConfigurationError) as caught:
            async with open_memory(loaded.settings, options=loaded.options):
                pass
        assert caught.value.setting == variable
        assert variable in str(caught.value)

    @pytest.mark.parametrize(
        ("given", "variable"),
        [
            ({}, "QDRANT_URL"),
            ({"QDRANT_URL": "https://127.0.0.1"}, "QDRANT_API_KEY"),
            ({"SFM_VECTOR_URL": "memory:"}, "REDIS_URL"),
            ({"SFM_VECTOR_URL": "memory:", "REDIS_URL": "rediss://127.0.0.1"}, "REDIS_PASSWORD"),
        ],
    )
    async def test_a_derived_store_in_the_clear_is_refused_by_the_variable_to_set(
        self, tmp_path: Path, given: dict[str, str], variable: str
    ) -> None:
        environ = {
            "MEMORY_MODE": "cloud_managed",
            "SFM_DATA_FOLDER": str(tmp_path),
            "SFM_KV_URL": "memory:",
            "SFM_GRAPH_URL": "memory:",
            **given,
        }
        loaded = load_settings(environ)
        with pytest.raises(ConfigurationError) as caught:
            async with open_memory(loaded.settings, options=loaded.options):
                pass
        assert caught.value.setting == variable
        assert variable in str(caught.value)

    async def test_a_missing_token_is_told_as_an_error(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        settings = load_settings({"MEMORY_MODE": "edge"}).settings
        plugin = EdgePlugin(secure=True, capabilities=frozenset({SECURE}))
        app = create_app(settings, extra_plugins={"edge": plugin})
        async with app.router.lifespan_context(app):
            pass
        assert [record.levelname for record in caplog.records if "TOKEN" in record.message] == [
            "ERROR"
        ]


@pytest.mark.parametrize("port", ["KV", "VECTOR", "GRAPH", "CACHE", "EMBEDDER", "EVENTS"])
@pytest.mark.parametrize("url", ["redis://u:hush@[x", "sqlite://[", "redis://[hush]/0"])
def test_a_malformed_url_is_one_line_that_names_the_variable(port: str, url: str) -> None:
    variable = f"SFM_{port}_URL"
    with pytest.raises(ConfigurationError) as caught:
        chosen({**EVENTFUL, variable: url}).require_backends()
    assert caught.value.setting == variable
    assert variable in str(caught.value)
    assert "hush" not in str(caught.value)


def test_a_malformed_url_of_a_former_truth_is_one_line_that_names_the_variable() -> None:
    selection = chosen({"SFM_FORMER_KV_URLS": "sqlite:a.db,redis://[x"})
    with pytest.raises(ConfigurationError, match="SFM_FORMER_KV_URLS"):
        other_truths(selection)


def test_a_malformed_url_of_a_handler_is_one_line_that_names_the_variable() -> None:
    selection = chosen({"MEMORY_MODE": "test", "SFM_CONSUMER_HANDLERS": "webhook+https://[x"})
    with pytest.raises(ConfigurationError, match="SFM_CONSUMER_HANDLERS"):
        chosen_handlers(selection)
