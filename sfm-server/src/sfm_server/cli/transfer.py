"""Commands that move many memories in or out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path

import click
import msgspec

from sfm_core.errors import BackendUnavailableError, InvalidInputError
from sfm_server.cli import arguments
from sfm_server.cli.exits import Exit
from sfm_server.cli.line_files import count_lines, lines_of, output
from sfm_server.cli.output import progress_bar, show
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import Item, MemoryClient
from sfm_server.codings import Coding, coding_of_name
from sfm_server.schemas.admin import ImportAnswer, ImportMode
from sfm_server.schemas.memories import EpisodeAnswer, ItemError, StoredManyAnswer
from sfm_server.schemas.values import TypeName

_BATCH = 500
_CODINGS = {"gzip": Coding.GZIP, "zstd": Coding.ZSTD, "none": Coding.NONE}
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


class _Footer(msgspec.Struct, frozen=True, kw_only=True, tag="footer", tag_field="kind"):
    """The last line of an export; servers of before have written no checksum."""

    memories: int
    links: int
    sha256: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedAnswer:
    """What an export has written.

    Attributes:
        exported: How many memories, as an import counts them.
        path: Where to.
        memories: The same.
        links: How many links.
        sha256: Checksum of all lines but the last.
    """

    exported: int
    path: str
    memories: int
    links: int
    sha256: str


@click.command("import")
@click.argument("file")
@arguments.key_option
@click.option("--atomic", is_flag=True, help="Store nothing if a line is not acceptable.")
@click.option("--dry-run", is_flag=True, help="Only say which lines are not acceptable.")
@with_target
def import_file(
    target: Target, *, file: str, idempotency_key: str | None, atomic: bool, dry_run: bool
) -> int:
    """Store what the JSON Lines of FILE say; - is standard input.

    FILE is an export, or has lines {namespace, coord, type, payload}; it may be
    packed with gzip or zstd. Lines that cannot be understood are told by their
    number, and the rest goes on; the exit status is then 1. Of what is there
    already nothing is written again, so an import that was cut off is simply
    run again. Only where several plain lines differ about one memory, each of
    them replaces the one before, every time.
    """
    path = arguments.readable_file(file)
    mode = ImportMode.ATOMIC if atomic else ImportMode.LINES
    mode = ImportMode.CHECK if dry_run else mode
    total = count_lines(path) if file != "-" else None

    async def work(client: MemoryClient) -> ImportAnswer:
        with progress_bar("Reading" if dry_run else "Importing", total) as advance:
            return await client.import_lines(
                lines_of(path), advance, mode=mode, key=idempotency_key
            )

    answer = target.run(work)
    show(answer, as_json=target.as_json, text=lambda: _imported(answer, dry_run=dry_run))
    return Exit.FOUND_PROBLEMS if answer.failed else Exit.OK


@click.command()
@click.argument("file")
@click.option("--only", "namespaces", multiple=True, help="Only this namespace; repeatable.")
@click.option(
    "--compress",
    type=click.Choice(["gzip", "zstd", "none"]),
    help="How to pack it; otherwise by the end of FILE, .gz or .zst.",
)
@with_target
def export(target: Target, *, file: str, namespaces: tuple[str, ...], compress: str | None) -> None:
    """Write all memories and links to FILE as JSON Lines; - is standard output.

    All namespaces are exported unless --only names some. The last line has the
    number of memories and links, and the SHA-256 of the lines before it.
    """
    coding = coding_of_name(file) if compress is None else _CODINGS[compress]

    async def work(client: MemoryClient) -> ExportedAnswer:
        with output(file, coding) as out, progress_bar("Exporting") as advance:
            last = b""
            async with aclosing(client.export(namespaces or None)) as exported:
                async for line in exported:
                    out.write(line + b"\n")
                    last = line
                    advance(1)
            return _exported(file, last)

    written = target.run(work)
    if file != "-":
        show(
            written,
            as_json=target.as_json,
            text=lambda: (
                f"Exported {written.exported} memories and {written.links} links to {file}."
            ),
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


def _exported(file: str, last: bytes) -> ExportedAnswer:
    try:
        footer = msgspec.json.decode(last, type=_Footer)
    except msgspec.DecodeError as error:
        raise BackendUnavailableError(
            "The export was cut off: its last line is missing.",
            backend="export",
            remedy="Nothing was written; export again.",
        ) from error
    return ExportedAnswer(
        exported=footer.memories,
        path=file,
        memories=footer.memories,
        links=footer.links,
        sha256=footer.sha256,
    )


def _imported(answer: ImportAnswer, *, dry_run: bool) -> str:
    done = "Acceptable are" if dry_run else "Imported"
    lines = [f"{done} {answer.imported} memories and {answer.links} links."]
    if answer.expired or answer.passed_over:
        lines.append(
            f"Left out, since their time is over: {answer.expired} memories, "
            f"and {answer.passed_over} links."
        )
    lines += [f"Line {error.line}: {error.message}" for error in answer.errors[:_SHOWN_ERRORS]]
    if answer.failed > _SHOWN_ERRORS:
        lines.append(f"… and {answer.failed - _SHOWN_ERRORS} more lines.")
    return "\n".join(lines)


def _stored(answer: StoredManyAnswer) -> str:
    lines = [f"Stored {answer.stored} memories."]
    lines += [f"Item {error.item}: {error.message}" for error in answer.errors[:_SHOWN_ERRORS]]
    return "\n".join(lines)
