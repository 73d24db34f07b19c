"""Commands that work on an encrypted truth: rotation, and erasing by destroying a key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from sfm_core.clock import SystemClock
from sfm_core.engine.opening import BackendMaker
from sfm_core.engine.presence import alone
from sfm_core.engine.walking import namespaces_of
from sfm_core.errors import ConfigurationError
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.model.purge import PurgeState
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.resilience import Policy
from sfm_core.wrapping import UNWRAPPED
from sfm_server import wire_purges
from sfm_server.cli.exits import Exit
from sfm_server.cli.forget import stores_table
from sfm_server.cli.output import progress_bar, show
from sfm_server.cli.target import Target, with_target
from sfm_server.encryption.erasing import COMMIT_PATIENCE, NOTHING_ERASED, Erased, count_sealed
from sfm_server.encryption.erasing import erase as clear
from sfm_server.encryption.erasures import begin_erasure
from sfm_server.encryption.going_over import go_over
from sfm_server.encryption.keeping import check_destroyable, destroy_key, listed_keys
from sfm_server.encryption.key_file import SETTING
from sfm_server.encryption.key_format import StoredKey
from sfm_server.encryption.watching import INTERVAL, keys_of
from sfm_server.schemas.purges import StorePurgeAnswer
from sfm_server.selection import Selection, select

if TYPE_CHECKING:
    from sfm_server.encryption.rotating import Rotated

ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Destroyed:
    """A key that was destroyed, and what became of what it had encrypted.

    Attributes:
        destroyed: Its id.
        removed: How many entries with content were removed.
        namespaces: Where they were.
        pending: Whether a store still has something, which will go without anybody's doing.
        uncounted: Namespaces whose counters may be wrong, because others kept writing.
        stores: How far each store is.
    """

    destroyed: str
    removed: int
    namespaces: list[str]
    pending: bool
    uncounted: list[str]
    stores: list[StorePurgeAnswer]


@click.command()
@with_target
def rotate(target: Target) -> int:
    """Encrypt anew what is not encrypted with the newest key, while servers run.

    Also encrypts what is from before there were keys. Interrupted, the same
    command goes on. The exit status is 1 if something was left.
    """
    selection = _selection(target)
    keys = keys_of(selection.settings, SystemClock())
    # Whether the library is there was seen to when the settings were looked at.
    from sfm_server.encryption.rotating import Rotation  # noqa: PLC0415

    async def work(store: KeyValueStore) -> Rotated:
        with progress_bar("Encrypting") as advance:
            return await Rotation(store, keys).run(advance)

    done = _on_truth(selection, work)
    show(done, as_json=target.as_json, text=lambda: _rotated(done))
    return Exit.FOUND_PROBLEMS if done.overtaken or done.unreadable else Exit.OK


@click.command()
@click.argument("key_id", metavar="ID")
@click.option("--erase", is_flag=True, help="Lose what is encrypted with it, and clear that away.")
@with_target
def destroy(target: Target, *, key_id: str, erase: bool) -> None:
    """Destroy the key ID, and with it whatever is encrypted with it, wherever that is.

    Refused while something is, unless --erase says that this is meant. Then what
    nobody can read any more is removed from the truth of the settings, and every store
    is gone over as for `sfm forget`. Waits for servers to let go of the key first.
    Interrupted, the same command goes on, and so do the servers.
    """
    selection = _selection(target)
    path = selection.settings.encryption_keys_file
    if path is None:
        raise _not_set("Keys of SFM_ENCRYPTION_KEYS are destroyed where they are kept.")
    key = check_destroyable(path, key_id, erase=erase)

    async def work(store: KeyValueStore) -> Erased:
        if erase:
            return await _erased(store, path, key, selection)
        await _until_let_go(store, _overtaken_at(path, key))
        await _refuse_needed(store, key, erase=False)
        await asyncio.to_thread(destroy_key, path, key_id, at=_now())
        return NOTHING_ERASED

    erased = _on_truth(selection, work)
    stores = asyncio.run(go_over(selection, list(erased.removed))) if erased.removed else ()
    done = Destroyed(
        destroyed=key_id,
        removed=sum(erased.removed.values()),
        namespaces=list(erased.removed),
        pending=not erased.ended or any(one.state is PurgeState.PENDING for one in stores),
        uncounted=erased.uncounted,
        stores=wire_purges.stores(stores),
    )
    show(done, as_json=target.as_json, text=lambda: _destroyed(done))


async def _erased(store: KeyValueStore, path: Path, key: StoredKey, selection: Selection) -> Erased:
    await _refuse_needed(store, key, erase=True)
    # First, so that servers go on wherever this ends.
    await begin_erasure(store, key.id)
    await asyncio.to_thread(destroy_key, path, key.id, at=_now())
    await _until_let_go(store, datetime.now(UTC))
    reader = selection.wrapping.kv(store)
    with progress_bar("Erasing") as advance:
        return await clear(store, reader, key.master(), SystemClock(), progress=advance)


async def _until_let_go(store: KeyValueStore, since: datetime) -> None:
    """Wait until nothing is written any more with a key that was not to be since a time."""
    await _until(since + INTERVAL)
    if not await alone(store, ""):
        await _until(since + INTERVAL + COMMIT_PATIENCE)


async def _until(moment: datetime) -> None:
    await asyncio.sleep(max(0.0, (moment - datetime.now(UTC)).total_seconds()))


def _overtaken_at(path: Path, key: StoredKey) -> datetime:
    """Return since when another key is written with; times in the file have no fractions."""
    mine = [one for one in listed_keys(path) if one.namespace == key.namespace]
    made = [one.created_at for one in mine if one.created_at is not None and one.id != key.id]
    return max(made, default=datetime.min.replace(tzinfo=UTC)) + timedelta(seconds=1)


async def _refuse_needed(store: KeyValueStore, key: StoredKey, *, erase: bool) -> None:
    # What the engine itself keeps must stay readable, or no server could start.
    where = [SYSTEM_NAMESPACE] if erase else [SYSTEM_NAMESPACE, *await namespaces_of(store)]
    needed = await count_sealed(store, key.id, where)
    if needed:
        raise ConfigurationError(
            f"{needed} entries are encrypted with the key {key.id}.",
            setting=SETTING,
            remedy="Run `sfm keys rotate` first"
            + (" to keep them, or add --erase to lose them." if not erase else "."),
        )


def _on_truth(
    selection: Selection, work: Callable[[KeyValueStore], Coroutine[object, object, ResultT]]
) -> ResultT:
    """Open the truth of the settings as its store has it, and work on it."""
    selection.require_backends()
    context = replace(selection.context(), wrapping=UNWRAPPED)

    async def opened() -> ResultT:
        maker = BackendMaker(selection.registry, context, Policy())
        async with maker.kv(selection.slots.kv) as store:
            return await work(store)

    return asyncio.run(opened())


def _selection(target: Target) -> Selection:
    if target.url is not None:
        raise ConfigurationError(
            "Keys are looked after where the truth and the keys are, not through a server.",
            setting="--url",
            remedy="Leave --url out, and name the truth by the settings.",
        )
    loaded = target.settings()
    if not loaded.settings.encrypts:
        raise _not_set("Set it, for the server too.")
    return select(loaded.settings, options=loaded.options)


def _not_set(remedy: str) -> ConfigurationError:
    return ConfigurationError(f"{SETTING} is not set.", setting=SETTING, remedy=remedy)


def _now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def _destroyed(done: Destroyed) -> str:
    said = f"Destroyed {done.destroyed}; {done.removed} entries that it had encrypted were removed."
    if done.uncounted:
        names = ", ".join(done.uncounted)
        said += f" Counters of {names} may be wrong: run `sfm check --repair`."
    return f"{said}\n\n{stores_table(done.stores)}" if done.stores else said


def _rotated(done: Rotated) -> str:
    lines = [f"{done.encrypted} entries encrypted anew, {done.unchanged} unchanged."]
    if done.overtaken:
        lines.append(f"{done.overtaken} were written meanwhile: run it once more.")
    lines += [f"{name or 'the system'}: {why}" for name, why in done.unreadable.items()]
    return "\n".join(lines)
