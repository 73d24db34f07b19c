"""`sfm-conformance`: run the contracts on an installed backend, and write down how it did.

    sfm-conformance 'theirs:' --port vector --output report.md --output report.json

The URL must lead to no data of anybody's. Embedded backends get a new data
folder for each test; in the URL of a server, `{fresh}` stands for a name that
each test has to itself, such as a prefix or a database that is made when it is
missing. Where that is not enough, write the classes of tests yourself, and run
them with `pytest -p sfm_core.testing.report --sfm-report report.md`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import traceback
from collections.abc import Sequence
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import settings

from sfm_core.errors import ConfigurationError, SfmError
from sfm_core.plugins import load_plugins
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import ENGINE_PORTS, PortName, Registration, Registry
from sfm_core.testing._conformance_target import Target, choose, looked_at
from sfm_core.testing._report_text import (
    Conformance,
    as_json,
    as_markdown,
    environment,
    version_of,
)
from sfm_core.testing.report import Recorder

_SUITE = Path(__file__).with_name("_conformance_suite.py")
_PORTS = tuple(port for port in ENGINE_PORTS if port is not PortName.EVENTS)
_CONFIGURATION = """\
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
"""
_FAILED = 1
_UNUSABLE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the contracts from the command line.

    Args:
        arguments: What to test; those of the process when `None`.

    Returns:
        The exit status: 0 for a backend that conforms, 1 for one that does
        not, 2 where it could not be tested.
    """
    given = _parser().parse_args(arguments)
    try:
        options = dict(_option(text) for text in given.option)
        registration = _found(load_plugins().registry, given.url, given.port)
        target = Target(registration=registration, url=given.url, options=options)
        target = asyncio.run(looked_at(target))
    except SfmError as error:
        sys.stderr.write(f"{error}\n")
        return _UNUSABLE
    except Exception:  # noqa: BLE001 - what an unfinished backend raises can be anything
        traceback.print_exc()
        sys.stderr.write("Not tested: this is none of the errors that a backend may raise.\n")
        return _UNUSABLE
    report = run(target, only=given.only)
    text = as_json if given.json else as_markdown
    if not given.output:
        sys.stdout.write(text(report))
    for file in given.output:
        written = as_json if file.suffix == ".json" else text
        file.write_text(written(report), encoding="utf-8")
    return 0 if report.conforms else _FAILED


def run(target: Target, *, only: str = "") -> Conformance:
    """Run the contracts on a backend.

    Args:
        target: The backend.
        only: Run only tests that match this expression of pytest's `-k`.

    Returns:
        How it did.
    """
    choose(target)
    recorder = Recorder([], Conformance(backend=_described(target), environment=environment()))
    settings.register_profile("sfm-conformance", database=None, print_blob=False)
    settings.load_profile("sfm-conformance")
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder, redirect_stdout(sys.stderr):
        # What the working directory says about tests is about others.
        configuration = Path(folder, "pytest.ini")
        configuration.write_text(_CONFIGURATION, encoding="utf-8")
        options = ["-q", "--tb=short", "-p", "no:cacheprovider", "-c", str(configuration)]
        options += ["--rootdir", folder, "-W", "ignore::pytest.PytestAssertRewriteWarning"]
        pytest.main([str(_SUITE), *options, *(["-k", only] if only else [])], plugins=[recorder])
    return recorder.conformance


def options_of_the_command() -> set[str]:
    """Return every option of `sfm-conformance`, as it is written."""
    return {name for action in _parser()._actions for name in action.option_strings}  # noqa: SLF001 - argparse tells nobody else


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="sfm-conformance",
        description="Run the contracts of SomaFractalMemory on an installed backend.",
    )
    parser.add_argument("url", help="what chooses the backend; {fresh} is a new name in each test")
    parser.add_argument("--port", choices=[*_PORTS], help="needed if the scheme serves several")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a variable of the backend, such as a password",
    )
    parser.add_argument("--only", default="", metavar="EXPRESSION", help="pytest's -k")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="write JSON")
    form.add_argument("--markdown", action="store_true", help="write Markdown, as is the default")
    parser.add_argument(
        "--output",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="write there, and not on standard output; .json gives JSON",
    )
    return parser


def _option(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not (name and separator):
        raise ConfigurationError(f"{text!r} is no option.", remedy="Write --option NAME=VALUE.")
    return name, value


def _found(registry: Registry, url: str, port: str | None) -> Registration[Backend]:
    if port is not None:
        return registry.find(PortName(port), url)
    scheme = url.partition(":")[0]
    offers = [offer for offer in registry if offer.scheme == scheme and offer.port in _PORTS]
    if len(offers) == 1:
        return offers[0]
    if not offers:
        raise ConfigurationError(
            f"The scheme {scheme!r} serves no port that can be tested by a URL.",
            remedy="Install a plugin that offers it, or correct the URL.",
        )
    ports = ", ".join(offer.port for offer in offers)
    raise ConfigurationError(
        f"The scheme {scheme!r} serves {ports}.", remedy=f"Name one with --port, out of: {ports}."
    )


def _described(target: Target) -> dict[str, str]:
    registration = target.registration
    known = {
        "backend": f"{registration.distribution} {version_of(registration.distribution)}",
        "port": registration.port,
        "scheme": registration.scheme,
        "capabilities": ", ".join(sorted(registration.capabilities)) or "none",
        "shared between processes": _yes(target.shared),
    }
    if registration.port in {PortName.VECTOR, PortName.GRAPH}:
        known["persistent"] = _yes(target.persistent)
    if registration.port is PortName.VECTOR:
        known["scores hits in both arms"] = _yes(target.scores_both_arms)
        known["filter operators it refuses"] = ", ".join(sorted(target.unsupported)) or "none"
    return {name: str(value) for name, value in known.items()}


def _yes(said: bool) -> str:  # noqa: FBT001 - it turns it into a word
    return "yes" if said else "no"


if __name__ == "__main__":
    sys.exit(main())
