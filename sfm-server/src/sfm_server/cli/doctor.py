"""The command that looks for what is wrong."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Iterable, Iterator

import click

from sfm_core.errors import SfmError
from sfm_core.plugins import PluginState
from sfm_server.access.authority import Authority
from sfm_server.cli.exits import Exit
from sfm_server.cli.key_checks import look_at_keys
from sfm_server.cli.output import progress_bar, show
from sfm_server.cli.slots import Finding, Verdict, look_at_consumption, look_at_slots
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import MemoryClient
from sfm_server.loading import LoadedSettings
from sfm_server.schemas.system import HealthAnswer
from sfm_server.selection import Selection, select
from sfm_server.truths import has_succession, what_a_start_does

_LITTLE_ROOM_BYTES = 512 * 1024 * 1024
_LONG_OUTBOX = 10_000
_TRUTH = "newest truth"


@click.command()
@with_target
def doctor(target: Target) -> int:
    """Check the installation, the settings, the folder, every backend and the other truths.

    Tells what a start would take over from another truth, and takes nothing over.
    The exit status is 1 if a check failed.
    """
    findings = list(_local(target)) if target.url is None else []
    if not (_failed(findings) or _behind(findings)):
        findings += _memory(target)
    show(findings, as_json=target.as_json, text=lambda: "\n".join(map(_line, findings)))
    return Exit.FOUND_PROBLEMS if _failed(findings) else Exit.OK


def _behind(findings: Iterable[Finding]) -> bool:
    """Tell whether opening the memory would do more than look at it."""
    return any(one.check == _TRUTH and one.verdict is not Verdict.OK for one in findings)


def _failed(findings: Iterable[Finding]) -> bool:
    return any(finding.verdict is Verdict.FAILED for finding in findings)


def _local(target: Target) -> Iterator[Finding]:
    yield Finding(check="python", verdict=Verdict.OK, detail=sys.version.split()[0])
    try:
        loaded = target.settings()
        selection = select(loaded.settings, options=loaded.options)
    except SfmError as error:
        yield _failure("settings", error)
        return
    yield Finding(
        check="settings",
        verdict=Verdict.OK,
        detail=f"mode {loaded.settings.memory_mode}; `sfm config` shows all",
    )
    yield from _plugins(selection)
    yield from _token(selection)
    yield from _folder(loaded)
    slots = asyncio.run(look_at_slots(selection))
    yield from slots
    yield from asyncio.run(look_at_consumption(selection))
    if not _failed(slots):
        yield from asyncio.run(look_at_keys(selection))
    if not _failed(slots) and has_succession(selection):
        yield asyncio.run(_truth(selection))


async def _truth(selection: Selection) -> Finding:
    try:
        decision = await what_a_start_does(selection)
    except SfmError as error:
        return _failure(_TRUTH, error)
    if decision.source is not None:
        detail = f"a start copies everything from {decision.source.place} to here first"
    elif decision.abandoned is not None:
        unfinished, given_back = decision.abandoned
        detail = (
            f"{unfinished.place} never finished taking over from {given_back.place}: "
            "a start calls that off first"
        )
    else:
        return Finding(check=_TRUTH, verdict=Verdict.OK, detail="no other one is newer")
    return Finding(check=_TRUTH, verdict=Verdict.WARNING, detail=detail)


def _plugins(selection: Selection) -> Iterator[Finding]:
    found = selection.plugins
    broken = [info for info in found.installed if info.state is PluginState.QUARANTINED]
    for info in broken:
        yield Finding(check=f"plugin {info.name}", verdict=Verdict.WARNING, detail=f"{info.reason}")
    for name in found.unknown_disabled:
        yield Finding(
            check="plugins",
            verdict=Verdict.WARNING,
            detail=f"SFM_DISABLED_PLUGINS names {name}, which is not installed",
        )
    if not broken:
        count = len(found.installed)
        yield Finding(check="plugins", verdict=Verdict.OK, detail=f"{count} installed")


def _token(selection: Selection) -> Iterator[Finding]:
    try:
        Authority(selection.settings).load()
    except SfmError as error:
        yield Finding(check="token", verdict=Verdict.FAILED, detail=str(error))
    if selection.mode.secure and not selection.settings.authenticates:
        yield Finding(
            check="token",
            verdict=Verdict.WARNING,
            detail="SOMA_API_TOKEN is not set: whoever reaches the port can use the memory",
        )


def _folder(loaded: LoadedSettings) -> Iterator[Finding]:
    folder = loaded.settings.data_folder
    if not folder.exists():
        yield Finding(
            check="data folder", verdict=Verdict.OK, detail=f"{folder} will be made when needed"
        )
        return
    try:
        probe = folder / ".probe"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        yield Finding(
            check="data folder",
            verdict=Verdict.FAILED,
            detail=f"{folder} cannot be written to: {error.strerror}",
        )
        return
    free = shutil.disk_usage(folder).free
    enough = free >= _LITTLE_ROOM_BYTES
    yield Finding(
        check="data folder",
        verdict=Verdict.OK if enough else Verdict.WARNING,
        detail=f"{folder}, {free // 2**20} MiB free",
    )


def _memory(target: Target) -> list[Finding]:
    async def work(client: MemoryClient) -> list[Finding]:
        health = await client.health()
        # The slots of the settings were looked at one by one already.
        findings = _outbox(health) if target.url is None else _health(health)
        findings += _collections(health)
        if all(finding.verdict is not Verdict.FAILED for finding in findings):
            findings.append(await _consistency(client))
        return findings

    try:
        return target.run(work)
    except SfmError as error:
        return [_failure("memory", error)]


async def _consistency(client: MemoryClient) -> Finding:
    with progress_bar("Checking") as advance:
        report = await client.check(repair=False, progress=advance)
    if report.consistent:
        return Finding(
            check="derived stores", verdict=Verdict.OK, detail=f"{report.memories} memories agree"
        )
    return Finding(
        check="derived stores",
        verdict=Verdict.WARNING,
        detail="they differ from the truth; run `sfm check --repair`",
    )


def _health(health: HealthAnswer) -> list[Finding]:
    ports = [
        Finding(
            check=name,
            verdict=Verdict.OK if port.ok else Verdict.FAILED,
            detail=f"{port.scheme}: {port.error or f'{port.latency_seconds * 1000:.1f} ms'}",
        )
        for name, port in health.ports.items()
    ]
    return ports + _outbox(health)


def _outbox(health: HealthAnswer) -> list[Finding]:
    depth = health.outbox_depth
    if depth is None:
        return []
    waits = health.ports["vector"].lag_seconds or 0
    return [
        Finding(
            check="outbox",
            verdict=Verdict.WARNING if depth > _LONG_OUTBOX else Verdict.OK,
            detail=f"{depth} keys wait for derived stores"
            + (f", the oldest for {waits:.0f} s" if depth else ""),
        )
    ]


def _collections(health: HealthAnswer) -> Iterator[Finding]:
    for one in health.collections:
        if one.role == "kept":
            detail = f"kept for {one.embedder}; `sfm collections --drop {one.name}` frees its space"
            yield Finding(check=f"collection {one.name}", verdict=Verdict.OK, detail=detail)
        elif one.failures or one.unusable:
            detail = f"{one.embedder}: {one.error or one.unusable}"
            yield Finding(check=f"collection {one.name}", verdict=Verdict.WARNING, detail=detail)
        elif not one.complete:
            detail = f"{one.embedder}: {one.done} of {one.total} memories are in it"
            yield Finding(check=f"collection {one.name}", verdict=Verdict.OK, detail=detail)
    if not any(one.chosen and one.role in {"serving", "building"} for one in health.collections):
        yield Finding(
            check="collections",
            verdict=Verdict.WARNING,
            detail="another embedder or text rule serves than the settings ask for; start the "
            "server with them, or run `sfm rebuild`",
        )


def _failure(check: str, error: SfmError) -> Finding:
    return Finding(check=check, verdict=Verdict.FAILED, detail=str(error))


def _line(finding: Finding) -> str:
    return f"{finding.verdict.value:8} {finding.check}: {finding.detail}"
