"""Export and import as streams of JSON Lines.

An export begins with a header and ends with a footer that counts what came
between, so that a file that was cut short is recognised. An import takes an
export, or plain lines `{"namespace", "coord", "type", "payload"}`. It is
idempotent: what is there already, at the same version or with the same
content, is left as it is; and an older version never replaces a newer one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace

import msgspec

from sfm_core.engine.changes import Change
from sfm_core.engine.expecting import refuse_reuse
from sfm_core.engine.inputs import check_namespace
from sfm_core.engine.once import Once
from sfm_core.engine.portable import (
    FORMAT,
    FORMAT_VERSION,
    history_document,
    link_document,
    memory_document,
)
from sfm_core.engine.reading import Reading
from sfm_core.engine.restore import (
    Line,
    LineReader,
    MemoryLine,
    OldVersion,
    Permits,
    Restoring,
)
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import Truth, link_alive, link_of
from sfm_core.engine.writer import Outcome, Writer
from sfm_core.errors import BackendError, InvalidInputError, SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.keys import (
    HISTORY,
    LINK,
    MEMORY,
    KeyRange,
    access_key,
)
from sfm_core.model.names import check_name
from sfm_core.model.payload import JsonValue
from sfm_core.model.report import ImportReport, LineError
from sfm_core.protocols.kv import Entry

PAGE = 500
MAX_REPORTED = 1000

Progress = Callable[[int], None]
"""Called with the number of lines that were dealt with since the last call."""


class Exporting:
    """Writes everything that lives as JSON Lines."""

    def __init__(self, stores: Stores, truth: Truth, reading: Reading) -> None:
        """Export `truth`."""
        self._stores = stores
        self._truth = truth
        self._reading = reading

    async def export(self, namespaces: Sequence[str] | None) -> AsyncGenerator[bytes]:
        """Export; see `MemoryEngine.export`."""
        if namespaces is None:
            chosen = await self._reading.namespaces()
        else:
            chosen = [check_name(namespace, field="namespaces") for namespace in namespaces]
        yield _line({"kind": "header", "format": FORMAT, "version": FORMAT_VERSION})
        memories = links = 0
        for namespace in chosen:
            async for document in self._memories(namespace):
                memories += document["kind"] == "memory"
                yield _line(document)
        for namespace in chosen:
            async for document in self._links(namespace):
                links += 1
                yield _line(document)
        yield _line({"kind": "footer", "memories": memories, "links": links})

    async def _memories(self, namespace: str) -> AsyncGenerator[dict[str, JsonValue]]:
        async for page in self._truth.pages(namespace, MEMORY):
            coordinates = [Coordinate.from_key(key[1:]) for key, _ in page]
            reads = await self._stores.kv.get_many(namespace, list(map(access_key, coordinates)))
            ranges = [KeyRange.prefix(HISTORY + coordinate.key) for coordinate in coordinates]
            older = await self._stores.kv.scan(
                namespace, ranges, limit=max(1, self._stores.settings.history_limit)
            )
            now = self._stores.clock.now()
            for at, (key, entry) in enumerate(page):
                state = self._truth.memory_state(namespace, key, entry)
                if state.record is None or not state.record.alive(now):
                    continue
                access = self._truth.access(namespace, access_key(coordinates[at]), reads[at])
                memory = self._truth.memory(namespace, coordinates[at], state.version, state.record)
                yield memory_document(memory, access)
                for old_key, old in older[at]:
                    yield self._old(namespace, coordinates[at], old_key, old)

    def _old(
        self, namespace: str, coordinate: Coordinate, key: bytes, entry: Entry
    ) -> dict[str, JsonValue]:
        record = self._truth.memory_record(namespace, key, entry)
        return history_document(self._truth.memory(namespace, coordinate, entry.version, record))

    async def _links(self, namespace: str) -> AsyncGenerator[dict[str, JsonValue]]:
        async for page in self._truth.pages(namespace, LINK):
            ends = await self._truth.link_ends(namespace, [key for key, _ in page])
            now = self._stores.clock.now()
            for (key, entry), (source, target) in zip(page, ends, strict=True):
                state = self._truth.link_state(namespace, key, entry)
                if state.record is not None and link_alive(state.record, source, target, now):
                    yield link_document(namespace, link_of(key, state.version, state.record))


@dataclass(slots=True)
class _Tally:
    """What an import has done so far."""

    imported: int = 0
    links: int = 0
    failed: int = 0
    errors: list[LineError] = field(default_factory=list[LineError])

    def fail(self, line: int, message: str) -> None:
        self.failed += 1
        if len(self.errors) < MAX_REPORTED:
            self.errors.append(LineError(line=line, message=message))

    def report(self) -> ImportReport:
        return ImportReport(
            imported=self.imported,
            links=self.links,
            errors=tuple(self.errors),
            failed=self.failed,
        )


@dataclass(frozen=True, slots=True)
class _Pending:
    """A line that was understood, with the lines of history after it."""

    number: int
    line: Line
    change: Change
    older: list[OldVersion]

    @property
    def lines(self) -> int:
        return 1 + len(self.older)

    def take(self, old: OldVersion) -> bool:
        """Add an older version, if it is one of this memory."""
        mine = (self.change.namespace, self.change.keys[:1]) == (old.namespace, (old.key,))
        fits = mine and old.version < (self.line.version or 0)
        if fits:
            self.older.append(old)
        return fits


class Importing:
    """Reads JSON Lines."""

    def __init__(self, stores: Stores, restoring: Restoring, writer: Writer) -> None:
        """Write through `writer` what `restoring` makes of lines."""
        self._stores = stores
        self._restoring = restoring
        self._writer = writer

    async def import_lines(
        self,
        lines: AsyncIterable[bytes],
        *,
        default_namespace: str,
        progress: Progress | None,
        permits: Permits | None,
        key: IdempotencyKey | None,
    ) -> ImportReport:
        """Import; see `MemoryEngine.import_lines`."""
        check_namespace(default_namespace)
        once = Once(self._stores, key, "import", default_namespace)
        tally = _Tally()
        reader = LineReader(default_namespace, permits)
        batch: list[_Pending] = []
        number = 0
        async for number, line in _numbered(lines):
            pending = self._understand(reader, number, line, tally, batch)
            if pending is None:
                continue
            pending = replace(pending, change=once.item(pending.change, number, line))
            if batch and (
                number - batch[0].number >= PAGE or batch[-1].line.kind != pending.line.kind
            ):
                await self._write(batch, tally, progress)
                batch = []
            batch.append(pending)
        await self._write(batch, tally, progress)
        problem = reader.missing_footer()
        if problem:
            tally.fail(number + 1, problem)
        return tally.report()

    def _understand(
        self,
        reader: LineReader,
        number: int,
        line: bytes,
        tally: _Tally,
        batch: Sequence[_Pending],
    ) -> _Pending | None:
        """Make of a line what is to be written; one of history goes with the memory before it."""
        try:
            parsed = reader.read(line)
            if parsed is None:
                return None
            if isinstance(parsed, MemoryLine) and parsed.kind == "history":
                self._add_history(parsed, batch)
                return None
            older: list[OldVersion] = []
            return _Pending(number, parsed, self._restoring.change(parsed, older), older)
        except SfmError as error:
            tally.fail(number, str(error))
            return None

    def _add_history(self, line: MemoryLine, batch: Sequence[_Pending]) -> None:
        old = self._restoring.old_version(line)
        if not (batch and batch[-1].take(old)):
            raise InvalidInputError(
                "A line of history does not follow a later version of its memory.",
                field="kind",
                remedy="Keep the lines of an export in their order.",
            )

    async def _write(
        self, batch: Sequence[_Pending], tally: _Tally, progress: Progress | None
    ) -> None:
        if not batch:
            return
        results = await self._writer.write_many([pending.change for pending in batch])
        refuse_reuse(results)
        for pending, result in zip(batch, results, strict=True):
            if isinstance(result, BackendError) or not isinstance(result, Outcome | SfmError):
                raise result
            if isinstance(result, SfmError):
                tally.fail(pending.number, str(result))
            elif pending.line.kind == "link":
                tally.links += 1
            else:
                tally.imported += 1
        if progress:
            progress(sum(pending.lines for pending in batch))


def _line(document: dict[str, JsonValue]) -> bytes:
    return msgspec.json.encode(document)


async def _numbered(lines: AsyncIterable[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    number = 0
    async for line in lines:
        number += 1
        if line.strip():
            yield number, line
