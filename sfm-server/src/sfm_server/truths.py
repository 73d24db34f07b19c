"""The truths of an installation: the one to run on, and where older or newer ones may be."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import msgspec

from sfm_core.engine.changeover import TruthUrl, UpToDate, bring_up_to_date, foresee
from sfm_core.engine.copying import Progress
from sfm_core.engine.lineage import Decision
from sfm_core.engine.opening import BackendMaker
from sfm_core.errors import ConfigurationError
from sfm_core.model.urls import scheme_of
from sfm_core.registry import FLEETING, BackendContext, PortName
from sfm_core.resilience import Policy
from sfm_server.masking import mask
from sfm_server.replacing import replace_file
from sfm_server.selection import Selection

RECORD = "truth.json"
"""File in the data folder that says which truth the server ran on last. Holds no credentials."""

log = logging.getLogger(__name__)


class LastTruth(msgspec.Struct, frozen=True, kw_only=True):
    """The truth that servers with this data folder ran on last.

    Attributes:
        truth_id: Which truth.
        place: How its URL began, without credentials.
        epoch: Its epoch then; 0 where an earlier release has not noted that.
    """

    truth_id: str
    place: str
    epoch: int = 0


async def follow_newest_truth(selection: Selection, progress: Progress | None = None) -> None:
    """See that the chosen truth holds all that other truths of the installation hold.

    Copies the newest one to it where it does not, and remembers the chosen
    truth as the one that was used last.

    Args:
        selection: What the settings choose; nothing is open yet.
        progress: Told how many entries were dealt with.

    Raises:
        ConfigurationError: The newest truth cannot be reached, or it cannot
            be told which it is; the message says what to do.
        BackendError: A truth failed.
    """
    target = chosen_truth(selection)
    last = await asyncio.to_thread(read_last, selection.settings.data_folder)
    result: UpToDate = await bring_up_to_date(
        truth_maker(selection),
        target,
        other_truths(selection),
        last_id=last.truth_id if last else None,
        last_place=last.place if last else "",
        last_epoch=last.epoch if last else 0,
        lease=selection.engine_settings().lease,
        progress=progress,
    )
    if result.report and result.report.verified:
        log.info(
            "took %d entries over from %s, verified with the digest %s",
            result.report.verified.entries,
            result.report.source,
            result.report.verified.digest,
        )
    await remember(selection, result.truth_id, result.epoch)


async def what_a_start_does(selection: Selection) -> Decision:
    """Tell what a start would do about other truths first, and change nothing.

    Args:
        selection: What the settings choose.

    Returns:
        What it would do.

    Raises:
        ConfigurationError: It would refuse.
        BackendError: The truth failed.
    """
    last = await asyncio.to_thread(read_last, selection.settings.data_folder)
    return await foresee(
        truth_maker(selection),
        chosen_truth(selection),
        other_truths(selection),
        last_id=last.truth_id if last else None,
        last_place=last.place if last else "",
        last_epoch=last.epoch if last else 0,
    )


async def remember(selection: Selection, truth_id: str, epoch: int) -> None:
    """Remember a truth as the one that was used last, where the next start looks.

    Args:
        selection: What the settings choose.
        truth_id: The truth.
        epoch: Its epoch.
    """
    record = LastTruth(truth_id=truth_id, place=chosen_truth(selection).place, epoch=epoch)
    folder = selection.settings.data_folder
    if await asyncio.to_thread(read_last, folder) != record:
        await asyncio.to_thread(_write_last, folder, record)


def chosen_truth(selection: Selection) -> TruthUrl:
    """Return the truth that the settings choose."""
    return truth_at(selection, selection.slots.kv)


def has_succession(selection: Selection) -> bool:
    """Tell whether the chosen truth lasts, so that it takes over from others and they from it."""
    found = selection.registry.find(PortName.KV, selection.slots.kv)
    return selection.mode.lasting and FLEETING not in found.capabilities


def other_truths(selection: Selection) -> list[TruthUrl]:
    """Return where other truths of the installation may be.

    Those are the truths that `SFM_FORMER_KV_URLS` names, and those of other
    modes that were set up: a file that is there, a server that a variable names.

    Args:
        selection: What the settings choose.

    Returns:
        Truths that can be opened; none of them may exist.

    Raises:
        ConfigurationError: `SFM_FORMER_KV_URLS` names a URL that no plugin serves.
    """
    context = _lenient(selection.context())
    former = list(selection.settings.former_kv_urls)
    for url in former:
        scheme_of(url, "SFM_FORMER_KV_URLS")
        selection.registry.find(PortName.KV, url)
    modes = [one.mode.slots.kv for one in selection.plugins.modes if one.mode.lasting]
    found = [*former, *(url for url in modes if _is_set_up(selection, url, context))]
    return [truth_at(selection, url) for url in _distinct(found) if url != selection.slots.kv]


def truth_at(selection: Selection, url_or_mode: str) -> TruthUrl:
    """Return the truth that a URL, or a mode, chooses.

    Args:
        selection: Knows the modes.
        url_or_mode: A URL, or the name of a mode.

    Returns:
        Where that truth is.

    Raises:
        ConfigurationError: It is neither, or nothing lasts there.
    """
    url = url_or_mode
    if ":" not in url_or_mode:
        url = selection.plugins.modes.find(url_or_mode).slots.kv
    if FLEETING in selection.registry.find(PortName.KV, url).capabilities:
        raise ConfigurationError(
            f"{mask(url)} holds nothing any more when it is closed.",
            remedy="Name a key-value store that lasts.",
        )
    return TruthUrl(url=url, place=mask(url))


def truth_maker(selection: Selection) -> BackendMaker:
    """Return what opens truths.

    The chosen one is held to what its mode requires. The others may be what
    they were: a memory that moves to encrypted services comes from somewhere.

    Args:
        selection: What the settings choose.

    Returns:
        What opens truths.

    Raises:
        ConfigurationError: The chosen one is not what its mode requires.
    """
    BackendMaker(selection.registry, selection.context(), Policy()).kv(selection.slots.kv)
    return BackendMaker(selection.registry, _lenient(selection.context()), Policy())


def read_last(folder: Path) -> LastTruth | None:
    """Read which truth was used last; `None` where that is not known."""
    try:
        return msgspec.json.decode((folder / RECORD).read_bytes(), type=LastTruth)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("%s does not say which truth was used last: %s", folder / RECORD, error)
        return None


def _write_last(folder: Path, record: LastTruth) -> None:
    try:
        replace_file(folder / RECORD, msgspec.json.encode(record))
    except OSError as error:
        # Only a change of mode to a truth that cannot be reached would have needed it.
        log.warning("%s is not written: %s", folder / RECORD, error.strerror)


def _lenient(context: BackendContext) -> BackendContext:
    return replace(context, secure=False)


def _is_set_up(selection: Selection, url: str, context: BackendContext) -> bool:
    try:
        return selection.registry.find(PortName.KV, url).is_set_up(url, context)
    except ConfigurationError as error:
        # Its plugin is not installed, or its variables make no sense: nobody ran on it like this.
        log.debug("no truth is looked for at %s: %s", mask(url), error)
        return False


def _distinct(urls: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(urls))
