"""The pages about settings, endpoints, commands and errors against the code."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import cast

import click
import pytest

from sfm_core.errors import ConfigurationError, SfmError
from sfm_core.plugins import load_plugins
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import BackendContext, PortName, Registration
from sfm_server.app import create_app
from sfm_server.cli.exits import Exit
from sfm_server.cli.main import COMMANDS
from sfm_server.listing import list_settings
from sfm_server.loading import load_settings
from sfm_server.modes import BUILT_IN, urls_of
from sfm_server.problems import RequestError, all_errors, status_of
from sfm_server.settings import Settings

REFERENCE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference"
COMMON_OPTIONS = {"--data", "--url", "--token", "--namespace", "--json", "--help"}


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def setting_rows() -> Iterator[str]:
    for one in list_settings(load_settings({}, env_file=Path("no-such-file"))):
        default = "" if one.variable == "SFM_DATA_FOLDER" else one.value
        yield f"| `{one.variable}` | {f'`{default}`' if default else ''} | {one.description} |"


def option_rows() -> Iterator[str]:
    loaded = load_settings({}, env_file=Path("no-such-file"))
    for one in list_settings(loaded, load_plugins().readers):
        if one.used_by:
            yield f"| `{one.variable}` | {one.used_by} | {one.description} |"


def mode_rows() -> Iterator[str]:
    ports = (PortName.KV, PortName.VECTOR, PortName.GRAPH, PortName.CACHE, PortName.EMBEDDER)
    for name, mode in BUILT_IN.items():
        urls = urls_of(mode.slots)
        slots = " | ".join(f"`{urls[port]}`" for port in ports)
        events = f"`{mode.slots.events}`" if mode.slots.events else "log"
        yield f"| `{name}` | {slots} | {events} | {mode.summary} |"


def route_rows() -> Iterator[str]:
    document = create_app(Settings(memory_mode="test")).openapi()
    paths = cast(dict[str, dict[str, dict[str, object]]], document["paths"])
    for path, operations in sorted(paths.items()):
        for method, operation in sorted(operations.items()):
            summary = str(operation["description"]).partition("\n")[0]
            yield f"| `{method.upper()} {path}` | {summary} |"


def error_rows() -> Iterator[str]:
    for error in all_errors():
        if error in {SfmError, RequestError}:
            continue
        summary = (error.__doc__ or "").partition("\n")[0]
        again = "yes" if error.retryable else "no"
        yield f"| `{error.code}` | {status_of(error).value} | {again} | {summary} |"


def command_rows() -> Iterator[str]:
    for name, place in COMMANDS.items():
        command = load(place)
        arguments = " ".join(
            one.make_metavar(click.Context(command))
            for one in command.params
            if isinstance(one, click.Argument)
        )
        options = sorted(
            f"`{max(one.opts, key=len)}`"
            for one in command.params
            if isinstance(one, click.Option) and max(one.opts, key=len) not in COMMON_OPTIONS
        )
        summary = (command.help or "").partition("\n\n")[0].replace("\n", " ")
        yield f"| `{f'sfm {name} {arguments}'.strip()}` | {summary} | {', '.join(options)} |"


def load(place: str) -> click.Command:
    module, _, function = place.partition(":")
    command = getattr(import_module(f"sfm_server.cli.{module}"), function)
    assert isinstance(command, click.Command)
    return command


def exit_rows() -> Iterator[str]:
    for one in Exit:
        yield f"| {one.value} | "


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("settings.md", setting_rows),
        ("settings.md", option_rows),
        ("settings.md", mode_rows),
        ("http.md", route_rows),
        ("errors.md", error_rows),
        ("cli.md", command_rows),
        ("cli.md", exit_rows),
    ],
    ids=[
        "settings",
        "variables of backends",
        "modes",
        "routes",
        "errors",
        "commands",
        "exit statuses",
    ],
)
def test_every_row_is_on_its_page(name: str, rows: Callable[[], Iterator[str]]) -> None:
    text = page(name)
    expected = list(rows())
    assert expected
    assert [row for row in expected if row not in text] == []


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_mode_is_in_the_readme(name: str) -> None:
    readme = REFERENCE.parent.parent / "README.md"
    assert f"| `{name}` |" in readme.read_text(encoding="utf-8")


class Noted(dict[str, str]):
    """Variables of which it notes what is looked for."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__(values)
        self.wanted: set[str] = set()

    def get(self, key: str, default: str | None = None) -> str | None:  # type: ignore[override]
        self.wanted.add(key)
        return super().get(key, default)

    def __getitem__(self, key: str) -> str:
        self.wanted.add(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self.wanted.add(str(key))
        return super().__contains__(key)


@pytest.mark.parametrize("secure", [False, True], ids=["open", "secure"])
@pytest.mark.parametrize(
    "backend", list(load_plugins().registry), ids=lambda one: f"{one.port}-{one.scheme}"
)
def test_a_backend_reads_no_variable_that_it_does_not_declare(
    backend: Registration[Backend], tmp_path: Path, *, secure: bool
) -> None:
    options = Noted(dict.fromkeys(backend.options, ""))
    context = BackendContext(data_folder=tmp_path, options=options, secure=secure)
    with suppress(ConfigurationError):
        backend.factory(f"{backend.scheme}:", context)
    with suppress(ConfigurationError):
        backend.factory(f"{backend.scheme}://localhost/x?model=m&dim=3", context)
    assert options.wanted <= backend.options.keys()


@pytest.mark.parametrize("option", sorted(COMMON_OPTIONS))
def test_every_common_option_is_on_the_page_of_commands(option: str) -> None:
    assert f"`{option}" in page("cli.md")


def test_no_row_of_an_error_that_is_gone_is_left() -> None:
    codes = {error.code for error in all_errors()}
    listed = {
        line.split("`")[1] for line in page("errors.md").splitlines() if line.startswith("| `")
    }
    assert listed <= codes
