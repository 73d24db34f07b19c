"""Import of a stream of JSON Lines.

It takes an export, or plain lines `{"namespace", "coord", "type", "payload"}`,
and is idempotent: what is there already, at the same version or with the same
content, is left as it is; an older version never replaces a newer one; and what
has expired since does not come back. It
needs memory for one page of lines, however many there are.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from dataclasses import dataclass, field, replace

from sfm_core.engine.changes import Change, Slot
from sfm_core.engine.expecting import refuse_reuse
from sfm_core.engine.import_lines import (
    Line,
    LineReader,
    MemoryLine,
    Permits,
    StrangeExportError,
)
from sfm_core.engine.inputs import check_namespace
from sfm_core.engine.once import Once
from sfm_core.engine.restore import OldVersion, Restoring
from sfm_core.engine.stores import Stores
from sfm_core.engine.writer import Outcome, Writer
from sfm_core.errors import BackendError, InvalidInputError, NotFoundError, SfmError
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.report import ImportReport, LineError

PAGE = 500
_BREATH = 100
"""Lines after which whatever else is to be done has its turn."""
PAGE_BYTES = 8 * 1024 * 1024
MAX_REPORTED = 1000
MAX_REMEMBERED = 100_000
"""Memories whose time is over, by which links are told that came to nothing with them. Only links
of earlier releases need that: others say themselves which lives they belong to."""

Progress = Callable[[int], None]
"""Called with the number of lines that were dealt with since the last call."""


@dataclass(slots=True)
class _Tally:
    """What an import has done so far."""

    progress: Progress | None
    imported: int = 0
    links: int = 0
    expired: int = 0
    passed_over: int = 0
    failed: int = 0
    errors: list[LineError] = field(default_factory=list[LineError])
    over: set[Slot] = field(default_factory=set[Slot])
    told: int = 0

    def fail(self, line: int, message: str) -> None:
        self.failed += 1
        if len(self.errors) < MAX_REPORTED:
            self.errors.append(LineError(line=line, message=message))

    def take(self, line: Line, change: Change, *, there: bool) -> None:
        """Count what a line was about; `there` tells whether that is there now."""
        if line.kind == "link":
            self.links += there
            self.passed_over += not there
            return
        self.imported += there
        self.expired += not there
        if not there and len(self.over) < MAX_REMEMBERED:
            self.over.add((change.namespace, change.keys[0]))

    def refuse(self, pending: _Pending, error: SfmError) -> None:
        """Count a line that was refused; a link is not to blame for an end that has expired."""
        change = pending.change
        ends = {(change.namespace, key) for key in change.keys}
        if isinstance(error, NotFoundError) and not self.over.isdisjoint(ends):
            self.passed_over += 1
        else:
            self.fail(pending.number, str(error))

    def reach(self, line: int) -> None:
        """Tell that every line up to this one was dealt with."""
        if self.progress and line > self.told:
            self.progress(line - self.told)
        self.told = line

    def report(self) -> ImportReport:
        return ImportReport(
            imported=self.imported,
            links=self.links,
            expired=self.expired,
            passed_over=self.passed_over,
            errors=tuple(self.errors),
            failed=self.failed,
        )


@dataclass(frozen=True, slots=True)
class _Pending:
    """A line that was understood, with the lines of history after it.

    Attributes:
        number: Its number.
        line: What it says.
        change: What it asks for.
        older: The versions that lines after it describe; the change knows the list.
    """

    number: int
    line: Line
    change: Change
    older: list[OldVersion]
    _seen: set[int] = field(default_factory=set[int])

    def take(self, old: OldVersion, history_limit: int) -> bool:
        """Add an older version, if it is one of this memory, and as far as history goes back."""
        version = self.line.version or 0
        mine = (self.change.namespace, self.change.keys[:1]) == (old.namespace, (old.key,))
        if not mine or old.version >= version:
            return False
        if old.version >= version - history_limit and old.version not in self._seen:
            self._seen.add(old.version)
            self.older.append(old)
        return True


@dataclass(slots=True)
class _Batch:
    """Lines that are written together."""

    pending: list[_Pending] = field(default_factory=list[_Pending])
    size: int = 0

    def full(self, number: int, line: Line) -> bool:
        """Tell whether another line has to wait for the next batch."""
        return bool(self.pending) and (
            number - self.pending[0].number >= PAGE
            or self.size >= PAGE_BYTES
            or self.pending[-1].line.kind != line.kind
        )


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
        dry_run: bool,
    ) -> ImportReport:
        """Import; see `MemoryEngine.import_lines`."""
        check_namespace(default_namespace)
        once = Once(self._stores, key, "import", default_namespace)
        tally = _Tally(progress)
        reader = LineReader(default_namespace, permits)
        carry_out = self._try if dry_run else self._write
        batch = _Batch()
        number = 0
        async for number, line in _numbered(lines):
            pending = self._understand(reader, number, line, tally, batch)
            if pending is not None:
                if batch.full(number, pending.line):
                    await carry_out(batch, tally)
                    tally.reach(number - 1)
                    batch = _Batch()
                change = once.item(pending.change, number, line)
                batch.pending.append(replace(pending, change=change))
            batch.size += len(line)
        await carry_out(batch, tally)
        tally.reach(number)
        problem = reader.missing_footer()
        if problem:
            tally.fail(number + 1, problem)
        return tally.report()

    def _understand(
        self, reader: LineReader, number: int, line: bytes, tally: _Tally, batch: _Batch
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
        except StrangeExportError:
            raise
        except SfmError as error:
            tally.fail(number, str(error))
            return None

    def _add_history(self, line: MemoryLine, batch: _Batch) -> None:
        old = self._restoring.old_version(line)
        limit = self._stores.settings.history_limit
        if not (batch.pending and batch.pending[-1].take(old, limit)):
            raise InvalidInputError(
                "A line of history does not follow a later version of its memory.",
                field="kind",
                remedy="Keep the lines of an export in their order.",
            )

    async def _write(self, batch: _Batch, tally: _Tally) -> None:
        if not batch.pending:
            return
        results = await self._writer.write_many([pending.change for pending in batch.pending])
        refuse_reuse(results)
        for pending, result in zip(batch.pending, results, strict=True):
            if isinstance(result, BackendError) or not isinstance(result, Outcome | SfmError):
                raise result
            if isinstance(result, SfmError):
                tally.refuse(pending, result)
            else:
                tally.take(pending.line, pending.change, there=result.version > 0)

    async def _try(self, batch: _Batch, tally: _Tally) -> None:
        """Plan what would be written as if nothing were there, which finds what is not acceptable.

        The ends of a link may be memories of the same import, so they are not looked for.
        """
        await asyncio.sleep(0)
        for pending in batch.pending:
            try:
                there = pending.line.kind == "link" or (
                    pending.change.plan(dict.fromkeys(pending.change.keys)).version > 0
                )
                tally.take(pending.line, pending.change, there=there)
            except SfmError as error:
                tally.fail(pending.number, str(error))


async def _numbered(lines: AsyncIterable[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    number = 0
    async for line in lines:
        number += 1
        if number % _BREATH == 0:
            # Lines that come to nothing wait for nothing, and there may be millions in a row.
            await asyncio.sleep(0)
        stripped = line.strip()
        if stripped:
            yield number, stripped
