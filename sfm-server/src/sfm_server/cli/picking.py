"""What the commands share that work on what --filters and --type pick."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from msgspec import UNSET

from sfm_core.errors import InvalidInputError
from sfm_server.cli import arguments
from sfm_server.cli.output import progress_bar
from sfm_server.picked import Picked
from sfm_server.schemas.memories import DeletedManyAnswer
from sfm_server.schemas.values import TypeName

_LOOKED_AT_ONCE = 10_000

PartT = TypeVar("PartT", bound=DeletedManyAnswer)


def picked_by(
    filters: str | None, type_name: TypeName | None, *, beside: Sequence[str]
) -> Picked | None:
    """Return what the options pick, a part at a time, or nothing where none is given.

    Args:
        filters: What `--filters` says.
        type_name: What `--type` says.
        beside: The coordinates that were given, too.

    Raises:
        InvalidInputError: There are some, or a filter is no JSON object.
    """
    if filters is None and type_name is None:
        return None
    if beside:
        raise InvalidInputError(
            "--filters and --type do not go with coordinates.",
            field="filters",
            remedy="Leave one of them out.",
        )
    return Picked(
        filters=None if filters is None else arguments.json_object(filters, field="filters"),
        type=type_name,
        limit=_LOOKED_AT_ONCE,
    )


def refuse_nothing(coords: Sequence[str], path: str | None) -> None:
    """Refuse a command that names neither coordinates nor what picks memories.

    Args:
        coords: The coordinates that were typed.
        path: The file of coordinates, if there is one.

    Raises:
        InvalidInputError: There are none, and there is no file.
    """
    if not coords and path is None:
        raise InvalidInputError(
            "No memory is named.",
            field="coords",
            remedy="Name coordinates, a --file of them, or --filters that pick them.",
        )


async def every_part(picked: Picked, ask: Callable[[Picked, int], Awaitable[PartT]]) -> list[PartT]:
    """Ask for one part after the other, and show how many memories were looked at.

    Args:
        picked: What picks memories, from the beginning.
        ask: Asks for a part; it is given what picks memories there, and which part it is.

    Returns:
        The answers, in order.
    """
    answers: list[PartT] = []
    with progress_bar("Looking") as advance:
        while True:
            answer = await ask(picked, len(answers))
            answers.append(answer)
            advance(answer.examined)
            if answer.next_cursor is UNSET:
                return answers
            picked = picked.going_on(str(answer.next_cursor))
