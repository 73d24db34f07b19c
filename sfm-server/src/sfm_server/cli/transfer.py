"""Commands that move many memories in or out."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from sfm_core.errors import InvalidInputError, StorageFullError
from sfm_server.cli import arguments
from sfm_server.cli.exits import Exit
from sfm_server.cli.output import progress_bar, show
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import Item, MemoryClient
from sfm_server.schemas.admin import ImportAnswer
from sfm_server.schemas.memories import EpisodeAnswer, ItemError, StoredManyAnswer
from sfm_server.schemas.values import TypeName

_BATCH = 500
_COUNTED_AT_ONCE = 1 << 20
_SHOWN_ERRORS = 20


class _Line(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of a bulk file."""

    coord: str | list[float]
    payload: dict[str, object]
    type: TypeName = "episodic"
    importance: float | None = None
    ttl_seconds: float | None = None
    episode: EpisodeAnswer | None = None
    expected_version: int | None = None


@click.command("import")
@click.argument("file")
@arguments.key_option
@with_target
def import_file(target: Target, *, file: str, idempotency_key: str | None) -> int:
    """Store what the JSON Lines of FILE say; - is standard input.

    FILE is an export, or has lines {namespace, coord, type, payload}. Lines
    that cannot be understood are told by their number, and the rest goes on;
    the exit status is then 1. Importing a file again changes nothing.
    """
    path = arguments.readable_file(file)
    total = None if file == "-" else _count_lines(path)

    async def work(client: MemoryClient) -> ImportAnswer:
        with progress_bar("Importing", total) as advance:
            return await client.import_lines(_lines(path), advance, key=idempotency_key)

    answer = target.run(work)
    show(answer, as_json=target.as_json, text=lambda: _imported(answer))
    return Exit.FOUND_PROBLEMS if answer.failed else Exit.OK


@click.command()
@click.argument("file")
@click.option("--only", "namespaces", multiple=True, help="Only this namespace; repeatable.")
@with_target
def export(target: Target, *, file: str, namespaces: tuple[str, ...]) -> None:
    """Write all memories and links to FILE as JSON Lines; - is standard output.

    All namespaces are exported unless --only names some.
    """

    async def work(client: MemoryClient) -> int:
        count = 0
        with _output(file) as out, progress_bar("Exporting") as advance:
            async for line in client.export(namespaces or None):
                out.write(line + b"\n")
                count += 1
                advance(1)
        return count

    written = target.run(work)
    if file != "-":
        show(
            {"exported": written, "path": file},
            as_json=target.as_json,
            text=lambda: f"Exported {written} lines to {file}.",
        )


@click.command("store-bulk")
@click.argument("file")
@arguments.key_option
@with_target
def store_bulk(target: Target, *, file: str, idempotency_key: str | None) -> int:
    """Store the memories of FILE, one {coord, payload, type} a line; - is standard input."""
    path = arguments.readable_file(file)
    items = list(_items(path))

    async def work(client: MemoryClient) -> StoredManyAnswer:
        stored = 0
        errors: list[ItemError] = []
        positions: list[str] = []
        with progress_bar("Storing", len(items)) as advance:
            for start in range(0, len(items), _BATCH):
                answer = await client.store_many(
                    items[start : start + _BATCH],
                    key=arguments.key_of_part(idempotency_key, start),
                )
                stored += answer.stored
                positions += filter(None, [answer.position])
                errors += [replace(error, item=start + error.item) for error in answer.errors]
                advance(len(answer.results))
        return StoredManyAnswer(
            stored=stored, results=[], errors=errors, position=",".join(positions)
        )

    answer = target.run(work)
    show(answer, as_json=target.as_json, text=lambda: _stored(answer))
    return Exit.FOUND_PROBLEMS if answer.errors else Exit.OK


async def _lines(path: Path) -> AsyncGenerator[bytes]:
    # Reading a line takes microseconds, and nothing else runs in this process meanwhile.
    with path.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\r\n")


def _items(path: Path) -> Iterator[Item]:
    decoder = msgspec.json.Decoder(_Line)
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                read = decoder.decode(line)
            except (ValueError, RecursionError) as error:
                raise InvalidInputError(
                    f"Line {number} cannot be understood: {error}.",
                    field=f"line {number}",
                    remedy="Nothing was stored; correct the line, or use `sfm import`.",
                ) from error
            yield Item(
                coord=read.coord if isinstance(read.coord, str) else _joined(read.coord),
                payload=read.payload,
                type=read.type,
                importance=read.importance,
                ttl_seconds=read.ttl_seconds,
                episode=read.episode,
                expected_version=read.expected_version,
            )


def _joined(components: list[float]) -> str:
    return ",".join(map(repr, components))


@contextmanager
def _output(file: str) -> Generator[BinaryIO]:
    """Open a file that appears under its name only when it is whole."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as out:
            yield out
        partial.replace(path)
    except OSError as error:
        raise StorageFullError(
            f"{file} cannot be written: {error.strerror or error}.",
            backend="file",
            remedy="Name a file in a folder that exists, with room left.",
        ) from error
    finally:
        with suppress(OSError):
            partial.unlink()


def _count_lines(path: Path) -> int:
    count = 0
    with path.open("rb") as file:
        while block := file.read(_COUNTED_AT_ONCE):
            count += block.count(b"\n")
    return count


def _imported(answer: ImportAnswer) -> str:
    lines = [f"Imported {answer.imported} memories and {answer.links} links."]
    lines += [f"Line {error.line}: {error.message}" for error in answer.errors[:_SHOWN_ERRORS]]
    if answer.failed > _SHOWN_ERRORS:
        lines.append(f"… and {answer.failed - _SHOWN_ERRORS} more lines.")
    return "\n".join(lines)


def _stored(answer: StoredManyAnswer) -> str:
    lines = [f"Stored {answer.stored} memories."]
    lines += [f"Item {error.item}: {error.message}" for error in answer.errors[:_SHOWN_ERRORS]]
    return "\n".join(lines)
