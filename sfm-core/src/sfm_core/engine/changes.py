"""Writes that depend on what stands in the truth, and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sfm_core.engine.drafts import Draft
from sfm_core.model.idempotency import KeptAnswer, Picks
from sfm_core.model.payload import Payload
from sfm_core.protocols.kv import Commit, DirtyNote, Entry

View: TypeAlias = Mapping[bytes, Entry | None]
Slot: TypeAlias = tuple[str, bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a change wants to happen.

    Attributes:
        commit: What to write; its expectations are filled in by the committer.
            `None` if nothing is to be written.
        version: The version of the changed entry afterwards; 0 if there is none.
        revision: The revision of the memory afterwards, if one is written.
        repeats: What was answered the first time, if this is a repetition.
        picks: What to keep of what was found, for repetitions.
    """

    commit: Commit | None
    version: int
    revision: str = ""
    repeats: KeptAnswer | None = None
    picks: Picks | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A write that depends on what stands in the truth.

    Attributes:
        namespace: Where it happens.
        keys: Entries it depends on. It happens only if none of them changes
            between planning and commit; otherwise it is planned anew.
        plan: Plans the commit; raises an `SfmError` to refuse.
        read_first: Whether to read before planning, rather than to assume
            that the keys are absent.
        payload: What the memory will say that it writes, if it writes one.
    """

    namespace: str
    keys: tuple[bytes, ...]
    plan: Callable[[View], Planned]
    read_first: bool = True
    payload: Payload | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A change that happened.

    Attributes:
        version: The version of the changed entry; 0 if nothing was written.
        revision: The revision of the memory that was written, if one was.
        repeats: What was answered the first time, if this is a repetition.
        notes: Outbox notes to follow up, leased to this process if it is to do so.
        entries: What stands under the keys of the notes since then, as far as
            the change wrote them itself.
        draft: The vector of the memory that it wrote, if it was begun.
    """

    version: int
    revision: str = ""
    repeats: KeptAnswer | None = None
    notes: tuple[DirtyNote, ...] = ()
    entries: Mapping[bytes, Entry] = field(default_factory=dict[bytes, Entry])
    draft: Draft | None = None
