"""Which of several truths is the newest, told by what each says of itself.

Every truth knows its *epoch*, which grows when it takes over, and its
*lineage*: of which other truths, at which epoch, it holds everything. So of two
truths it can be told whether one holds all of the other, or whether each may
hold what the other never had. In the first case the newer one is to be copied
onto the older one; in the second nothing is done but on an explicit word of
the user.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sfm_core.engine.manifest import Manifest, Successor
from sfm_core.errors import ConfigurationError
from sfm_core.protocols.kv import KeyValueStore

log = logging.getLogger(__name__)


class Relation(StrEnum):
    """What one truth knows of another."""

    SAME = "same"
    EMPTY = "empty"
    HOLDS_IT = "holds-it"
    HELD_BY_IT = "held-by-it"
    UNRELATED = "unrelated"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownTruth:
    """A truth that was reached.

    Attributes:
        place: How its URL begins, for messages; without credentials.
        kv: The open store.
        manifest: What it says of itself; `None` where no engine has worked on it yet.
        empty: Whether it holds nothing.
    """

    place: str
    kv: KeyValueStore
    manifest: Manifest | None
    empty: bool

    @property
    def truth_id(self) -> str | None:
        """Its id, if it has one."""
        return self.manifest.truth_id if self.manifest else None

    @property
    def successor(self) -> Successor | None:
        """What has taken over from it, or is about to."""
        return self.manifest.superseded_by if self.manifest else None

    @property
    def taking_over(self) -> str | None:
        """The truth whose content is on its way here."""
        return self.manifest.taking_over if self.manifest else None

    def passes_over(self, other: KnownTruth) -> bool:
        """Tell whether this truth was told to go on without another one, as that is now."""
        mine, theirs = self.manifest, other.manifest
        return bool(mine and theirs and mine.passed_over.get(theirs.truth_id) == theirs.epoch)

    def relation_to(self, other: KnownTruth) -> Relation:
        """Tell what this truth knows of another one."""
        mine, theirs = self.manifest, other.manifest
        if mine and theirs and mine.truth_id == theirs.truth_id:
            return Relation.SAME
        if other.empty or theirs is None:
            return Relation.HOLDS_IT
        if mine and mine.lineage.get(theirs.truth_id) == theirs.epoch:
            return Relation.HOLDS_IT
        if self.empty or mine is None:
            return Relation.EMPTY
        if theirs.lineage.get(mine.truth_id) == mine.epoch:
            return Relation.HELD_BY_IT
        return Relation.UNRELATED


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a start finds around the truth that it is to run on.

    Attributes:
        others: The other truths that were reached.
        unreachable: How the URLs of those begin that were not.
        last_id: The truth that the installation ran on last, if it is known.
        last_place: How its URL began.
    """

    others: Sequence[KnownTruth] = ()
    unreachable: Sequence[str] = ()
    last_id: str | None = None
    last_place: str = ""

    def find(self, truth_id: str | None) -> KnownTruth | None:
        """Return the truth with an id, if it was reached."""
        return next((o for o in self.others if truth_id and o.truth_id == truth_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a start has to do before it can run on a truth.

    Attributes:
        source: The truth to take over from; `None` where there is nothing to copy.
        unfinished: The truth that never finished taking over, so that the one
            to run on is to be reclaimed from it.
    """

    source: KnownTruth | None = None
    unfinished: KnownTruth | None = None


def decide(target: KnownTruth, around: Surroundings) -> Decision:
    """Decide what brings a truth up to date.

    Args:
        target: The truth to run on.
        around: What else there is.

    Returns:
        What to do first.

    Raises:
        ConfigurationError: A newer truth cannot be reached, or truths hold
            memories that the others never had; the message says what to do.
    """
    others = [
        other
        for other in around.others
        if not (other.empty or other.taking_over or target.passes_over(other))
    ]
    if target.taking_over is not None:
        begun = _needed(target, target.taking_over, "", around)
        if begun.successor is None or begun.successor.truth_id == target.truth_id:
            return Decision(source=begun)
        target = begun
    newer = [o for o in others if target.relation_to(o) in {Relation.EMPTY, Relation.HELD_BY_IT}]
    if newer:
        return Decision(source=_newest(target, newer, around))
    if target.successor is not None:
        successor = target.successor
        return Decision(unfinished=_needed(target, successor.truth_id, successor.place, around))
    _refuse_a_lost_one(target, around)
    for other in others:
        if target.relation_to(other) is Relation.UNRELATED and other.successor is None:
            _refuse_or_warn(target, other, around)
    return Decision()


def _needed(of: KnownTruth, truth_id: str, place: str, around: Surroundings) -> KnownTruth:
    found = around.find(truth_id)
    if found is not None:
        return found
    where = f" at {place}" if place else ""
    tried = f" Not reached: {', '.join(around.unreachable)}." if around.unreachable else ""
    raise ConfigurationError(
        f"The memories of {of.place} have moved to another truth{where} ({truth_id}), "
        f"which cannot be found.{tried}",
        setting="MEMORY_MODE",
        remedy="Make it reachable: set the variables of its server, or name its URL in "
        "SFM_FORMER_KV_URLS. If it is lost, `sfm truths --adopt` goes on with what is here.",
    )


def _newest(target: KnownTruth, newer: Sequence[KnownTruth], around: Surroundings) -> KnownTruth:
    heads = [
        one
        for one in newer
        if not any(
            other.relation_to(one) is Relation.HOLDS_IT for other in newer if other is not one
        )
    ]
    if len(heads) > 1:
        heads = [one for one in heads if one.truth_id == around.last_id] or heads
    if len({one.truth_id for one in heads}) > 1:
        raise ConfigurationError(
            f"{' and '.join(one.place for one in heads)} each hold memories that the others "
            f"never had, and {target.place} holds none.",
            setting="MEMORY_MODE",
            remedy="Choose one with `sfm migrate FROM TO`.",
        )
    [newest, *_] = heads
    if newest.successor is not None and around.find(newest.successor.truth_id) is None:
        return _needed(newest, newest.successor.truth_id, newest.successor.place, around)
    return newest


def _refuse_a_lost_one(target: KnownTruth, around: Surroundings) -> None:
    if not target.empty or around.last_id in {None, target.truth_id}:
        return
    if around.last_place == target.place or around.find(around.last_id):
        return
    raise ConfigurationError(
        f"{target.place} is empty, and the memories of this installation were last in "
        f"{around.last_place}, which cannot be reached.",
        setting="MEMORY_MODE",
        remedy="Make it reachable, or name its URL in SFM_FORMER_KV_URLS. If it is not "
        "wanted any more, `sfm truths --adopt` begins anew.",
    )


def _refuse_or_warn(target: KnownTruth, other: KnownTruth, around: Surroundings) -> None:
    if other.truth_id != around.last_id:
        log.warning("%s holds memories that %s never had", other.place, target.place)
        return
    raise ConfigurationError(
        f"The memories of this installation were last in {other.place}; "
        f"{target.place} holds others that it never had.",
        setting="MEMORY_MODE",
        remedy="Bring them together with `sfm export` in the old mode and `sfm import` in the "
        "new one; `sfm truths --adopt` then goes on with the new one. Or let the old one replace "
        "the new one with `sfm migrate FROM TO --replace`.",
    )
