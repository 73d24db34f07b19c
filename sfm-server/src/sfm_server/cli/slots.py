"""Looks at each slot by itself: what it resolves to, and whether that can be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from time import perf_counter
from traceback import extract_tb

from sfm_core.engine.opening import BackendMaker
from sfm_core.errors import SfmError
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import PortName
from sfm_core.resilience import Policy
from sfm_server.masking import mask, show_option
from sfm_server.modes import urls_of
from sfm_server.selection import Selection

PATIENCE = timedelta(seconds=30)
"""How long a backend may take to open, which may be to make its tables, and to answer."""


class Verdict(StrEnum):
    """How a check went."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found.

    Attributes:
        check: What was looked at.
        verdict: How it went.
        detail: What was found, and what to do about it.
    """

    check: str
    verdict: Verdict
    detail: str


async def look_at_slots(selection: Selection) -> list[Finding]:
    """Open each chosen backend by itself, one after the other, and ask it for an answer.

    Args:
        selection: What the settings choose.

    Returns:
        One finding for each slot; one that cannot be used fails, and the
        others are looked at all the same.
    """
    try:
        selection.require_backends()
    except SfmError as error:
        return [Finding(check="mode", verdict=Verdict.FAILED, detail=str(error))]
    findings = [await _look(selection, port, url) for port, url in urls_of(selection.slots).items()]
    if selection.slots.events is None:
        kept = "kept in the log of the truth" if selection.events else "not logged"
        findings.append(Finding(check="events", verdict=Verdict.OK, detail=kept))
    return findings


async def look_at_consumption(selection: Selection) -> list[Finding]:
    """Look at what a consumer with these settings would read, and what it would do with it.

    Args:
        selection: What the settings choose.

    Returns:
        A finding for the source, and one for each handler, which is not opened.
    """
    return [await _source(selection), *_handlers(selection)]


async def _source(selection: Selection) -> Finding:
    check, url = PortName.SOURCE.value, selection.source
    if url is None:
        detail = "none: events are published nowhere"
        return Finding(check=check, verdict=Verdict.OK, detail=detail)
    try:
        selection.registry.find(PortName.SOURCE, url)
    except SfmError as error:
        # Whoever only publishes needs none.
        return Finding(check=check, verdict=Verdict.WARNING, detail=str(error))
    return await _look(selection, PortName.SOURCE, url)


def _handlers(selection: Selection) -> Iterator[Finding]:
    # What makes them is no small import, and most commands make none.
    from sfm_server.consuming.assembly import chosen_handlers  # noqa: PLC0415

    try:
        for name, chosen in chosen_handlers(selection).items():
            chosen.make()
            given = _given(selection, chosen.offered.options)
            detail = f"{mask(chosen.url)} ({', '.join(['SFM_CONSUMER_HANDLERS', *given])})"
            yield Finding(check=f"handler {name}", verdict=Verdict.OK, detail=detail)
    except SfmError as error:
        yield Finding(check="handlers", verdict=Verdict.FAILED, detail=str(error))


async def _look(selection: Selection, port: PortName, url: str) -> Finding:
    resolved = _resolved(selection, port, url)
    begin = perf_counter()
    try:
        # A context of its own, so that no slot profits from what another has opened.
        async with asyncio.timeout(PATIENCE.total_seconds()):
            async with _maker(selection)[port](url) as backend:
                await backend.ping()
                took = perf_counter() - begin
    except TimeoutError:
        failure = f"no answer within {PATIENCE.total_seconds():g} s"
    except SfmError as error:
        failure = str(error)
    except Exception as error:  # noqa: BLE001 - a plugin can raise anything, and the other slots are looked at all the same
        failure = _foreign(error, selection.registry.find(port, url).distribution)
    else:
        detail = f"{resolved}: reached in {took * 1000:.1f} ms"
        return Finding(check=port.value, verdict=Verdict.OK, detail=detail)
    return Finding(check=port.value, verdict=Verdict.FAILED, detail=f"{resolved}: {failure}")


def _foreign(error: Exception, distribution: str) -> str:
    """Say where an error came from that no backend may raise; its text may hold a password."""
    place = extract_tb(error.__traceback__)[-1]
    kind = type(error).__name__
    return f"a mistake in {distribution}: {kind} at {place.filename}:{place.lineno}"


def _maker(selection: Selection) -> Mapping[PortName, Callable[[str], Backend]]:
    maker = BackendMaker(selection.registry, selection.context(), Policy())
    return {
        PortName.KV: maker.kv,
        PortName.VECTOR: maker.vector,
        PortName.GRAPH: maker.graph,
        PortName.CACHE: maker.cache,
        PortName.EMBEDDER: maker.embedder,
        PortName.EVENTS: maker.events,
        PortName.SOURCE: maker.source,
    }


def _resolved(selection: Selection, port: PortName, url: str) -> str:
    """Say which URL was chosen by what, and which variables its backend finds beside it."""
    overrides = selection.overrides()
    override = overrides.get(port) or (port is PortName.SOURCE and overrides.get(PortName.EVENTS))
    chosen_by = override or f"mode {selection.settings.memory_mode}"
    given = _given(selection, selection.registry.find(port, url).options)
    return f"{mask(url)} ({', '.join([chosen_by, *given])})"


def _given(selection: Selection, read: Iterable[str]) -> list[str]:
    """Return the variables that are set among those that somebody reads, each with its value."""
    options = selection.options
    return [f"{name}={show_option(name, options[name])}" for name in read if name in options]
