"""Commands that work on an encrypted truth: rotation, and erasing by destroying a key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar

import click

from sfm_core.clock import SystemClock
from sfm_core.engine.opening import BackendMaker
from sfm_core.engine.walking import namespaces_of
from sfm_core.errors import ConfigurationError
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import KeyValueStore
from sfm_core.resilience import Policy
from sfm_core.wrapping import UNWRAPPED
from sfm_server.cli.exits import Exit
from sfm_server.cli.output import progress_bar, show
from sfm_server.cli.target import Target, with_target
from sfm_server.encryption.erasing import clear_away, count_sealed
from sfm_server.encryption.keeping import check_destroyable, destroy_key
from sfm_server.encryption.key_file import SETTING
from sfm_server.encryption.key_format import StoredKey
from sfm_server.encryption.watching import keys_of
from sfm_server.selection import Selection, select

if TYPE_CHECKING:
    from sfm_server.encryption.rotating import Rotated

ResultT = TypeVar("ResultT")


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

    Refused while something is, unless --erase says that this is meant. Then
    what nobody can read any more is removed from the truth of the settings, and
    derived stores follow. Interrupted, the same command goes on.
    """
    selection = _selection(target)
    path = selection.settings.encryption_keys_file
    if path is None:
        raise _not_set("Keys of SFM_ENCRYPTION_KEYS are destroyed where they are kept.")
    key = check_destroyable(path, key_id, erase=erase)

    async def work(store: KeyValueStore) -> int:
        await _refuse_needed(store, key, erase=erase)
        await asyncio.to_thread(destroy_key, path, key_id, at=_now())
        with progress_bar("Erasing") as advance:
            return await clear_away(store, key, advance) if erase else 0

    removed = _on_truth(selection, work)
    show(
        {"destroyed": key_id, "removed": removed},
        as_json=target.as_json,
        text=lambda: f"Destroyed {key_id}; {removed} entries that it had encrypted were removed.",
    )


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


def _rotated(done: Rotated) -> str:
    lines = [f"{done.encrypted} entries encrypted anew, {done.unchanged} unchanged."]
    if done.overtaken:
        lines.append(f"{done.overtaken} were written meanwhile: run it once more.")
    lines += [f"{name or 'the system'}: {why}" for name, why in done.unreadable.items()]
    return "\n".join(lines)
