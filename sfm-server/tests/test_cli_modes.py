"""What the command line says about modes, slots and the variables of backends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest

from sfm_core.testing.loopback import free_port
from sfm_server.cli.exits import Exit
from sfm_server.cli.main import run

EDGE = """
    from sfm_core.hookspecs import hookimpl
    from sfm_core.modes import Mode
    from sfm_core.settings import Slots

    @hookimpl
    def sfm_register_modes(register):
        slots = Slots(
            kv="sqlite:", vector="sqlite:", graph="sqlite:", cache="memory:", embedder="hashing:"
        )
        register("edge", Mode(summary="At the edge.", slots=slots))
"""

UNFINISHED = """
    from sfm_core.hookspecs import hookimpl

    def create(url, context):
        raise KeyError("hush")

    @hookimpl
    def sfm_register_vector_stores(register):
        register("unfinished", create, summary="Not written yet.")
"""


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and its exit status."""

    status: int
    out: str
    err: str


Sfm = Callable[..., Said]


@pytest.fixture
def sfm(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Sfm:
    """Calls a command, with variables of the environment as keywords."""

    def caller(*arguments: str, **environ: str) -> Said:
        monkeypatch.setenv("SFM_DATA_FOLDER", str(tmp_path / "data"))
        for name, value in environ.items():
            monkeypatch.setenv(name, value)
        status = run(arguments)
        out, err = capfd.readouterr()
        return Said(int(status), out, err)

    return caller


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Has a distribution installed with one plugin, `acme-NAME`."""

    def installer(name: str, source: str) -> None:
        site, module = tmp_path / "site", f"acme_{name}"
        about = site / f"{module}-1.0.dist-info"
        about.mkdir(parents=True)
        (site / f"{module}.py").write_text(dedent(source))
        (about / "METADATA").write_text(f"Name: acme-{name}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(f"[sfm]\n{name} = {module}\n")
        monkeypatch.syspath_prepend(str(site))  # pyright: ignore[reportUnknownMemberType]

    return installer


@pytest.fixture
def edge(install: Callable[[str, str], None]) -> None:
    """Have a distribution installed that offers the mode `edge`."""
    install("edge", EDGE)


@pytest.mark.parametrize("command", ["modes", "plugins", "config", "doctor", "stats"])
def test_every_command_refuses_what_is_no_mode(sfm: Sfm, command: str) -> None:
    said = sfm(command, MEMORY_MODE="dream")

    assert said.status != Exit.OK
    assert (said.out + said.err).count("MEMORY_MODE is 'dream', which is no mode") == 1


@pytest.mark.usefixtures("edge")
def test_modes_lists_the_slots_and_who_offers_them(sfm: Sfm) -> None:
    said = sfm("modes", "--json", MEMORY_MODE="edge", SFM_VECTOR_URL="memory:x?key=hush")

    modes = {mode["name"]: mode for mode in json.loads(said.out)}
    assert list(modes)[:2] == ["embedded", "test"]
    assert modes["edge"]["distribution"] == "acme-edge"
    assert modes["edge"]["slots"]["kv"] == "sqlite:"
    assert modes["edge"]["slots"]["vector"].startswith("memory:x?key=***")
    assert [name for name, mode in modes.items() if mode["selected"]] == ["edge"]
    assert [name for name, mode in modes.items() if mode["secure"]] == ["cloud_managed"]


@pytest.mark.usefixtures("edge")
def test_a_memory_is_kept_in_the_mode_of_a_plugin(sfm: Sfm) -> None:
    assert sfm("store", "a whale", "--coord", "1", MEMORY_MODE="edge").status == Exit.OK
    assert "whale" in sfm("recall", "whale").out


@pytest.mark.usefixtures("edge")
def test_plugins_lists_the_modes_of_each(sfm: Sfm) -> None:
    plugins = {one["name"]: one["modes"] for one in json.loads(sfm("plugins", "--json").out)}
    assert plugins["edge"] == ["edge"]
    assert plugins["sqlite"] == []


@pytest.mark.parametrize("command", ["modes", "plugins"])
def test_listings_end_with_why_a_start_would_fail(sfm: Sfm, command: str) -> None:
    said = sfm(command, MEMORY_MODE="development", SFM_DISABLED_PLUGINS="redis")

    assert said.status == Exit.OK
    assert "is disabled by SFM_DISABLED_PLUGINS" in said.out.splitlines()[-1]


def test_config_lists_variables_of_backends(sfm: Sfm) -> None:
    said = sfm("config", "--json", REDIS_HOST="cache", REDIS_PASSWORD="hush")  # noqa: S106 - of nothing

    found = {one["variable"]: one for one in json.loads(said.out)}
    assert found["REDIS_HOST"]["value"] == "cache"
    assert found["REDIS_HOST"]["used_by"] == "somafractalmemory-backend-redis"
    assert "hush" not in said.out


def test_doctor_tells_what_each_slot_resolves_to_and_which_cannot_be_reached(sfm: Sfm) -> None:
    url = f"postgresql://someone:hush@127.0.0.1:{free_port()}/db"
    said = sfm(
        "doctor",
        "--json",
        SFM_KV_URL="postgresql:",
        POSTGRES_URL=url,
        SFM_EMBEDDER_URL="hashing:",
    )

    findings = {one["check"]: one for one in json.loads(said.out)}
    assert said.status == Exit.FOUND_PROBLEMS
    assert findings["kv"]["verdict"] == "failed"
    assert findings["kv"]["detail"].startswith(
        "postgresql: (SFM_KV_URL, POSTGRES_URL=postgresql://someone:********@127.0.0.1:"
    )
    assert "hush" not in said.out
    assert findings["graph"]["detail"].startswith("sqlite: (mode embedded): reached in ")


def test_doctor_names_the_plugin_that_raises_what_it_must_not(
    sfm: Sfm, install: Callable[[str, str], None]
) -> None:
    install("unfinished", UNFINISHED)
    said = sfm("doctor", "--json", SFM_VECTOR_URL="unfinished:")

    findings = {one["check"]: one for one in json.loads(said.out)}
    assert said.status == Exit.FOUND_PROBLEMS
    assert findings["vector"]["verdict"] == "failed"
    assert "a mistake in acme-unfinished: KeyError at " in findings["vector"]["detail"]
    assert "hush" not in said.out
    assert findings["graph"]["verdict"] == "ok"


def test_doctor_refuses_the_clear_in_a_secure_mode_and_warns_of_a_missing_token(sfm: Sfm) -> None:
    said = sfm("doctor", "--json", MEMORY_MODE="cloud_managed", REDIS_HOST="cache")

    findings = {one["check"]: one for one in json.loads(said.out)}
    assert said.status == Exit.FOUND_PROBLEMS
    assert "REDIS_TLS" in findings["cache"]["detail"]
    assert "POSTGRES_URL" in findings["kv"]["detail"]
    assert findings["token"]["verdict"] == "warning"
