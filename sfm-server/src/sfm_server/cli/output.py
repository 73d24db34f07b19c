"""What commands print: text for people, or one JSON document with `--json`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager

import click
import msgspec


def show(answer: object, *, as_json: bool, text: Callable[[], str]) -> None:
    """Print an answer.

    Args:
        answer: What `--json` prints.
        as_json: Whether it was given.
        text: What is printed otherwise.
    """
    if as_json:
        click.echo(msgspec.json.encode(answer).decode())
        return
    shown = text()
    if shown:
        click.echo(shown)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay rows out in columns as wide as their longest cell.

    Args:
        heads: Titles of the columns.
        rows: Cells.

    Returns:
        The table, without a line end.
    """
    lines = [heads, *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def payload_text(payload: Mapping[str, object]) -> str:
    """Return a payload in one line: its text where it has nothing else, or its JSON."""
    text = payload.get("text") if len(payload) == 1 else None
    if isinstance(text, str):
        return " ".join(text.split())
    return msgspec.json.encode(payload).decode()


@contextmanager
def progress_bar(label: str, total: int | None = None) -> Generator[Callable[[int], None]]:
    """Show on standard error how far long work is, if that is a terminal.

    Args:
        label: What is being done.
        total: How much there is to do, if that is known.

    Yields:
        To be called with how much was done since the last call.
    """
    if not sys.stderr.isatty():
        yield _ignore
        return
    # Most commands show no bar, and the library costs start-up time.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True)) as bar:
        task = bar.add_task(label, total=total)

        def advance(count: int) -> None:
            bar.advance(task, count)

        yield advance


def _ignore(_count: int) -> None:
    return
