"""Arguments and options that several commands share."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import click
import msgspec

from sfm_core.errors import InvalidInputError
from sfm_core.model.coordinate import Coordinate

# Without it, click takes the coordinate "-1,2" for options.
NEGATIVE_NUMBERS = {"ignore_unknown_options": True}

type_option = click.option(
    "--type",
    "type_name",
    type=click.Choice(["episodic", "semantic"]),
    help="Kind of memory.",
)
version_option = click.option(
    "--expected-version",
    type=click.IntRange(min=0),
    help="Only if the memory is at this version; 0: only if there is none.",
)
key_option = click.option(
    "--idempotency-key",
    metavar="KEY",
    help="Names this write, so that it happens once however often it is asked for.",
)
cursor_option = click.option(
    "--cursor",
    metavar="CURSOR",
    help="Where to go on: the next_cursor that the page before shows with --json.",
)
as_of_option = click.option(
    "--as-of",
    metavar="TIME",
    help="As it was at this time, such as 2026-02-03T04:05:06Z, as far as history is kept.",
)
position_option = click.option(
    "--min-position",
    metavar="POSITION",
    help="Wait for the writes that have answered this position; commas between several.",
)


def json_object(text: str, *, field: str) -> dict[str, object]:
    """Read a JSON object from the command line.

    Args:
        text: What was typed; "-" stands for standard input.
        field: Name to use in the error message.

    Returns:
        The object.

    Raises:
        InvalidInputError: It is no JSON object.
    """
    source = sys.stdin.buffer.read() if text == "-" else text.encode(errors="surrogateescape")
    try:
        document: object = msgspec.json.decode(source)
    except (ValueError, RecursionError) as error:
        raise InvalidInputError(
            f"{field} is not JSON: {error}.", field=field, remedy="""Write it like '{"a": 1}'."""
        ) from error
    if not isinstance(document, dict):
        raise InvalidInputError(
            f"{field} is no JSON object.", field=field, remedy="""Write it like '{"a": 1}'."""
        )
    return cast(dict[str, object], document)


def payload(text: str) -> dict[str, object]:
    """Read a payload: a JSON object, or plain text, which becomes `{"text": …}`.

    Args:
        text: What was typed; "-" stands for a JSON object on standard input.

    Returns:
        The payload.

    Raises:
        InvalidInputError: It begins like a JSON object but is none.
    """
    if text == "-" or text.lstrip().startswith("{"):
        return json_object(text, field="payload")
    return {"text": text}


def key_of_part(key: str | None, part: int) -> str | None:
    """Return the idempotency key of one of several requests that a command makes.

    Args:
        key: The key of the command, if there is one.
        part: Which of its requests; the same in every run.

    Returns:
        The key of the request.
    """
    return key if key is None or not part else f"{key}/{part}"


def readable_file(path: str) -> Path:
    """Return the path of a file that can be read; "-" stands for standard input.

    Args:
        path: What was typed.

    Returns:
        The path.

    Raises:
        InvalidInputError: There is no such file.
    """
    if path == "-":
        return Path("/dev/stdin")
    found = Path(path)
    if not found.is_file():
        raise InvalidInputError(f"There is no file {path}.", field="file")
    return found


def coordinates(coords: Sequence[str], path: str | None) -> list[str]:
    """Return all coordinates that a command names, once each of them is known to be one.

    Args:
        coords: What was typed.
        path: A file of more, one a line; "-" stands for standard input.

    Returns:
        Those that were typed, and the lines that are not blank.

    Raises:
        InvalidCoordinateError: One is none; nothing has been done with the others.
        InvalidInputError: There is no such file.
    """
    named = [(coord, f"coords[{place}]") for place, coord in enumerate(coords)]
    if path is not None:
        text = readable_file(path).read_text(encoding="utf-8", errors="replace")
        lines = ((line.strip(), number) for number, line in enumerate(text.splitlines(), 1))
        named += [(line, f"line {number} of {path}") for line, number in lines if line]
    for coord, place in named:
        Coordinate.parse(coord, field=place)
    return [coord for coord, _ in named]
