"""What the commands share that work on what --filters and --type pick."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from msgspec import UNSET

from sfm_core.errors import InvalidInputError
from sfm_server.cli.output import progress_bar
from sfm_server.schemas.memories import DeletedManyAnswer

LOOKED_AT_ONCE = 10_000
"""Memories that one request looks at."""

PartT = TypeVar("PartT", bound=DeletedManyAnswer)


def refuse_beside(wanted: Sequence[str]) -> None:
    """Refuse coordinates where something picks memories.

    Args:
        wanted: The coordinates that were given.

    Raises:
        InvalidInputError: There are some.
    """
    if wanted:
        raise InvalidInputError(
            "--filters and --type do not go with coordinates.",
            field="filters",
            remedy="Leave one of them out.",
        )


async def every_part(ask: Callable[[str | None, int], Awaitable[PartT]]) -> list[PartT]:
    """Ask for one part after the other, and show how many memories were looked at.

    Args:
        ask: Asks for a part; it is given the cursor that leads there, and which one it is.

    Returns:
        The answers, in order.
    """
    answers: list[PartT] = []
    cursor: str | None = None
    with progress_bar("Looking") as advance:
        while True:
            answer = await ask(cursor, len(answers))
            answers.append(answer)
            advance(answer.examined)
            if answer.next_cursor is UNSET:
                return answers
            cursor = str(answer.next_cursor)
