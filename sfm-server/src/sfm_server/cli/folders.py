"""What `--data` promises: the command works on that folder, and on no other memory."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from sfm_core.errors import ConfigurationError
from sfm_core.registry import FLEETING, LOCAL, PortName
from sfm_server.masking import mask
from sfm_server.selection import Selection
from sfm_server.truths import has_succession, other_truths, what_a_start_does


async def refuse_other_memories(selection: Selection) -> None:
    """See that a command on a data folder leaves every other memory alone.

    Args:
        selection: What the settings choose, with that folder.

    Raises:
        ConfigurationError: The truth is not in the folder, or opening it would bring
            over what another one holds, which nothing could write to any more.
        BackendError: The truth failed.
    """
    chosen = selection.slots.kv
    if not _is_in_folder(selection, chosen):
        raise ConfigurationError(
            f"--data was given, but the memories of mode {selection.settings.memory_mode!r} are in "
            f"{mask(chosen)}, not in a folder.",
            setting="--data",
            remedy="Leave out --data; or set MEMORY_MODE=embedded to work on the folder.",
        )
    if not has_succession(selection):
        return
    elsewhere = {
        truth.place for truth in other_truths(selection) if not _is_in_folder(selection, truth.url)
    }
    source = (await what_a_start_does(selection)).source if elsewhere else None
    if source is not None and source.place in elsewhere:
        raise ConfigurationError(
            f"--data was given, but what it names would take over the memories of {source.place}.",
            setting="--data",
            remedy="Leave out the variables that name that store, and work where no .env does; "
            "or leave out --data and set SFM_DATA_FOLDER, if the memories are to move there.",
        )


def _is_in_folder(selection: Selection, url: str) -> bool:
    capabilities = selection.registry.find(PortName.KV, url).capabilities
    if LOCAL not in capabilities or FLEETING in capabilities:
        return False
    folder = selection.settings.data_folder.absolute()
    return (folder / unquote(urlsplit(url).path)).is_relative_to(folder)
