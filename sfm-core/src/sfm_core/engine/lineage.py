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
        empty: Whether it holds nothing, or nothing of its own: a replica.
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
    def replica(self) -> bool:
        """Whether a consumer fills it from events."""
        return bool(self.manifest and self.manifest.replica)

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
        if self.truth_id is not None and self.truth_id == other.truth_id:
            return Relation.SAME
        if other.empty or (self._took_over_from(other) and self.taking_over is None):
            return Relation.HOLDS_IT
        if self.empty:
            return Relation.EMPTY
        return Relation.HELD_BY_IT if other._took_over_from(self) else Relation.UNRELATED

    def _took_over_from(self, other: KnownTruth) -> bool:
        mine, theirs = self.manifest, other.manifest
        return bool(mine and theirs and mine.lineage.get(theirs.truth_id) == theirs.epoch)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a start finds around the truth that it is to run on.

    Attributes:
        others: The other truths that were reached.
        unreachable: How the URLs of those begin that were not.
        last_id: The truth that the installation ran on last, if it is known.
        last_place: How its URL began.
        last_epoch: Its epoch then; 0 if that is not known.
    """

    others: Sequence[KnownTruth] = ()
    unreachable: Sequence[str] = ()
    last_id: str | None = None
    last_place: str = ""
    last_epoch: int = 0

    def find(self, truth_id: str | None) -> KnownTruth | None:
        """Return the truth with an id, if it was reached."""
        return next((o for o in self.others if truth_id and o.truth_id == truth_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a start has to do next before it can run on a truth; nothing where both are `None`.

    Attributes:
        source: The truth to take over from.
        abandoned: A truth that never finished taking over, and the one that it
            was to take over from, which is to be given back.
    """

    source: KnownTruth | None = None
    abandoned: tuple[KnownTruth, KnownTruth] | None = None


def decide(target: KnownTruth, around: Surroundings) -> Decision:
    """Decide what brings a truth up to date.

    Args:
        target: The truth to run on.
        around: What else there is.

    Returns:
        What to do next.

    Raises:
        ConfigurationError: A newer truth cannot be reached, or truths hold
            memories that the others never had; the message says what to do.
    """
    others = [
        other
        for other in around.others
        if not (other.empty or other.taking_over or target.passes_over(other))
    ]
    # What is half copied holds nothing yet, and what was to come to it stands for it.
    whole = _whole(target, around)
    newer = [o for o in others if whole.relation_to(o) in {Relation.EMPTY, Relation.HELD_BY_IT}]
    newest = _newest(whole, newer, around) if newer else whole
    if newest is target and target.successor is not None:
        return Decision(abandoned=(_found(target, target.successor, around), target))
    _refuse_to_leave_the_last(target, newest, around)
    if newest.replica:
        raise ConfigurationError(
            f"{newest.place} is a replica that a consumer fills from events, and the truth that "
            "it follows cannot be found.",
            setting="MEMORY_MODE",
            remedy="Make that reachable, or name its URL in SFM_FORMER_KV_URLS. If it is lost, "
            "stop the consumer: `sfm truths --adopt` then goes on with what the replica holds.",
        )
    if newest is not target:
        return _take_over(newest, target, around)
    for other in others:
        if target.relation_to(other) is Relation.UNRELATED and other.successor is None:
            log.warning("%s holds memories that %s never had", other.place, target.place)
    return Decision()


def _whole(target: KnownTruth, around: Surroundings) -> KnownTruth:
    whole = target
    for _ in around.others:
        if whole.taking_over is not None:
            whole = _needed(whole, whole.taking_over, "", around)
    return whole


def _take_over(source: KnownTruth, target: KnownTruth, around: Surroundings) -> Decision:
    successor = source.successor
    if successor is None or successor.truth_id == target.truth_id:
        return Decision(source=source)
    return Decision(abandoned=(_found(source, successor, around), source))


def _found(of: KnownTruth, successor: Successor, around: Surroundings) -> KnownTruth:
    return _needed(of, successor.truth_id, successor.place, around)


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
            other.relation_to(one) is Relation.HOLDS_IT or other.passes_over(one)
            for other in newer
            if other is not one
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
    return next(iter(heads or newer))


def _refuse_to_leave_the_last(target: KnownTruth, newest: KnownTruth, around: Surroundings) -> None:
    """Refuse where the truth that was used last is not among what the newest one holds."""
    if around.last_id is None or around.last_id in {target.truth_id, newest.truth_id}:
        return
    last = around.find(around.last_id)
    if last is None:
        _refuse_without_the_last(target, newest, around)
    elif last.taking_over is None and not (
        newest.relation_to(last) is Relation.HOLDS_IT or target.passes_over(last)
    ):
        raise ConfigurationError(
            f"The memories of this installation were last in {last.place}; "
            f"{newest.place} holds others that it never had.",
            setting="MEMORY_MODE",
            remedy="Bring them together with `sfm export` in the old mode and `sfm import` in the "
            "new one; `sfm truths --adopt` then goes on with the new one. Or let the old one "
            "replace the new one with `sfm migrate FROM TO --replace`.",
        )


def _refuse_without_the_last(target: KnownTruth, newest: KnownTruth, around: Surroundings) -> None:
    held = newest.manifest.lineage if newest.manifest else {}
    # What was taken over before the last truth began to go on by itself lacks what came then.
    if held.get(around.last_id or "", -1) >= around.last_epoch:
        return
    if around.last_place == target.place:
        log.warning("%s is not the truth any more that it was at the last start", target.place)
        return
    raise ConfigurationError(
        f"The memories of this installation were last in {around.last_place}, which cannot be "
        f"reached, and {newest.place} never had all of them.",
        setting="MEMORY_MODE",
        remedy="Make it reachable, or name its URL in SFM_FORMER_KV_URLS. If it is not "
        "wanted any more, `sfm truths --adopt` goes on without it.",
    )
