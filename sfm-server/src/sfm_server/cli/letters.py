"""Commands about dead letters: events that a consumer could not take in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import click

from sfm_core.errors import InvalidInputError
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.source import DeadLetter, EventSource
from sfm_server.cli.output import show, table
from sfm_server.loading import load_settings
from sfm_server.selection import select

ResultT = TypeVar("ResultT")

_source_option = click.option("--source", metavar="URL", help="The stream; default: the setting's.")
_json_option = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_places_argument = click.argument("places", metavar="[PLACES]...", nargs=-1)


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterAnswer:
    """A dead letter, for listings.

    Attributes:
        place: Where the event was in the stream; names the letter.
        at: When it was set aside.
        handler: Who could not take it; "" where it is no event.
        code: Stable code of the error.
        reason: What happened.
        value: What lay in the stream, as text.
    """

    place: str
    at: datetime
    handler: str
    code: str
    reason: str
    value: str


@click.command("list")
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_BATCH),
    default=100,
    help="Most letters to show, the oldest first.",
)
@_source_option
@_json_option
def list_letters(*, limit: int, source: str | None, as_json: bool) -> None:
    """List the dead letters, the oldest first."""

    async def work(opened: EventSource) -> list[DeadLetter]:
        return await opened.dead_letters(limit=limit)

    letters = [_answer(letter) for letter in _on(source, work)]
    show(letters, as_json=as_json, text=lambda: _listing(letters))


@click.command()
@_places_argument
@click.option("--all", "everything", is_flag=True, help="All that there are now.")
@_source_option
@_json_option
def retry(*, places: tuple[str, ...], everything: bool, source: str | None, as_json: bool) -> None:
    """Publish the dead letters at PLACES again, as they were."""

    async def work(opened: EventSource) -> int:
        return await _each(opened, places, opened.retry, everything=everything)

    count = _on(source, work)
    show({"retried": count}, as_json=as_json, text=lambda: f"Published {count} again.")


@click.command()
@_places_argument
@click.option("--all", "everything", is_flag=True, help="All that there are now.")
@_source_option
@_json_option
def drop(*, places: tuple[str, ...], everything: bool, source: str | None, as_json: bool) -> None:
    """Let the dead letters at PLACES go for good."""

    async def work(opened: EventSource) -> int:
        return await _each(opened, places, opened.drop, everything=everything)

    count = _on(source, work)
    show({"dropped": count}, as_json=as_json, text=lambda: f"Dropped {count}.")


def _on(url: str | None, work: Callable[[EventSource], Awaitable[ResultT]]) -> ResultT:
    # What makes a source is no small import, and no other command of this group needs it.
    from sfm_server.consuming.assembly import source_maker  # noqa: PLC0415

    loaded = load_settings(overrides={"SFM_SOURCE_URL": url} if url else {})
    make = source_maker(select(loaded.settings, options=loaded.options))

    async def opened() -> ResultT:
        async with make() as source:
            return await work(source)

    return asyncio.run(opened())


async def _each(
    source: EventSource,
    places: Sequence[str],
    change: Callable[[Sequence[str]], Awaitable[int]],
    *,
    everything: bool,
) -> int:
    """Change letters, a batch at a time, and return how many were changed."""
    if everything == bool(places):
        raise InvalidInputError(
            "Either places or --all has to be given.",
            field="places",
            remedy="`sfm events dlq list` shows the places.",
        )
    if everything:
        return await _all(source, change)
    changed = 0
    for at in range(0, len(places), MAX_BATCH):
        changed += await change(places[at : at + MAX_BATCH])
    return changed


async def _all(source: EventSource, change: Callable[[Sequence[str]], Awaitable[int]]) -> int:
    # What is retried may come back at once, as a new letter, as often as one looks.
    began = datetime.now(UTC)
    changed = 0
    while letters := await source.dead_letters(limit=MAX_BATCH):
        count = await change([letter.place for letter in letters if letter.at <= began])
        changed += count
        if not count:
            break
    return changed


def _answer(letter: DeadLetter) -> LetterAnswer:
    return LetterAnswer(
        place=letter.place,
        at=letter.at,
        handler=letter.rejection.handler,
        code=letter.rejection.code,
        reason=letter.rejection.reason,
        value=letter.value.decode(errors="replace"),
    )


def _listing(letters: Sequence[LetterAnswer]) -> str:
    if not letters:
        return "There are no dead letters."
    rows = [
        [
            letter.place,
            letter.at.isoformat(timespec="seconds"),
            letter.handler or "-",
            letter.code,
            letter.reason,
        ]
        for letter in letters
    ]
    return table(["PLACE", "SET ASIDE", "HANDLER", "CODE", "REASON"], rows)
