"""The pages about settings, endpoints, commands and errors against the code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import cast

import click
import pytest

from sfm_core.errors import SfmError
from sfm_server.app import create_app
from sfm_server.cli.exits import Exit
from sfm_server.cli.main import COMMANDS
from sfm_server.loading import OPTION_PREFIXES, load_settings
from sfm_server.modes import MODES, PLANNED
from sfm_server.problems import RequestError, all_errors, status_of
from sfm_server.settings import Settings

REFERENCE = Path(__file__).resolve().parent.parent.parent / "docs" / "reference"
COMMON_OPTIONS = {"--data", "--url", "--token", "--namespace", "--json", "--help"}


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def setting_rows() -> Iterator[str]:
    for one in load_settings({}, env_file=Path("no-such-file")).listing():
        default = "" if one.variable == "SFM_DATA_FOLDER" else one.value
        yield f"| `{one.variable}` | {f'`{default}`' if default else ''} | {one.description} |"


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
        ("http.md", route_rows),
        ("errors.md", error_rows),
        ("cli.md", command_rows),
        ("cli.md", exit_rows),
    ],
    ids=["settings", "routes", "errors", "commands", "exit statuses"],
)
def test_every_row_is_on_its_page(name: str, rows: Callable[[], Iterator[str]]) -> None:
    text = page(name)
    expected = list(rows())
    assert expected
    assert [row for row in expected if row not in text] == []


@pytest.mark.parametrize("mode", [*MODES, *PLANNED])
def test_every_mode_is_on_the_page_of_settings(mode: str) -> None:
    assert f"`{mode}`" in page("settings.md")


@pytest.mark.parametrize("prefix", OPTION_PREFIXES)
def test_every_prefix_of_options_is_on_the_page_of_settings(prefix: str) -> None:
    assert f"`{prefix}`" in page("settings.md")


@pytest.mark.parametrize("option", sorted(COMMON_OPTIONS))
def test_every_common_option_is_on_the_page_of_commands(option: str) -> None:
    assert f"`{option}" in page("cli.md")


def test_no_row_of_an_error_that_is_gone_is_left() -> None:
    codes = {error.code for error in all_errors()}
    listed = {
        line.split("`")[1] for line in page("errors.md").splitlines() if line.startswith("| `")
    }
    assert listed <= codes
