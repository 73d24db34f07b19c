"""Looks at the keys that the truth is encrypted with."""

from __future__ import annotations

from dataclasses import replace

from sfm_core.engine.opening import BackendMaker
from sfm_core.errors import SfmError
from sfm_core.resilience import Policy
from sfm_core.wrapping import UNWRAPPED
from sfm_server.cli.slots import Finding, Verdict
from sfm_server.encryption.watching import GivenKeys
from sfm_server.selection import Selection

_CHECK = "keys"


async def look_at_keys(selection: Selection) -> list[Finding]:
    """See whether the keys can be read, and whether they are those that the truth needs.

    Args:
        selection: What the settings choose; its truth can be reached.

    Returns:
        What was found, without any key; nothing where nothing is encrypted.
    """
    if selection.keys is None:
        return []
    try:
        ring = await selection.keys.fresh()
        unusable = await _unusable(selection, selection.keys)
    except SfmError as error:
        return [Finding(check=_CHECK, verdict=Verdict.FAILED, detail=str(error))]
    if unusable:
        return [
            Finding(
                check=f"{_CHECK} of {name or 'the system'}", verdict=Verdict.WARNING, detail=why
            )
            for name, why in unusable.items()
        ]
    destroyed = sum(key.destroyed for key in ring.keys)
    detail = f"{len(ring.keys) - destroyed} given, {destroyed} destroyed"
    return [Finding(check=_CHECK, verdict=Verdict.OK, detail=detail)]


def _finding(namespace: str, why: str) -> Finding:
    # Perhaps nothing is encrypted with it any more; what cannot be read fails a later check.
    return Finding(check=f"{_CHECK} of {namespace}", verdict=Verdict.WARNING, detail=why)


async def _unusable(selection: Selection, keys: GivenKeys) -> dict[str, str]:
    # Whether the library is there was seen to when the settings were looked at.
    from sfm_server.encryption.data_keys import DataKeys  # noqa: PLC0415

    context = replace(selection.context(), wrapping=UNWRAPPED)
    maker = BackendMaker(selection.registry, context, Policy())
    async with maker.kv(selection.slots.kv) as store:
        return await DataKeys(store, keys).unusable()
