"""Group commit: concurrent writers of a process share commits to the truth.

A writer hands in a *change*: the keys it depends on and a function that, given
what stands under them, plans a commit. Changes that come while a commit is
under way form the next group. Inside a group a later change sees what an
earlier one plans, and what rests on one another is one commit; so two writers
of one memory need no second round.

Most writes make new memories. So unless a change asks to read first, the group
is planned as if its keys were absent: where that is wrong the store answers
with a conflict that carries the current entries, which costs no more than the
read would have. All guesses about one namespace are one commit; where one of
them was wrong, the others are no longer guesses and are committed each by itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import NamedTuple

from sfm_core.engine.changes import Change, Planned, Slot, View, Written
from sfm_core.engine.coalescer import Coalescer
from sfm_core.engine.drafts import Draft, Drafting
from sfm_core.engine.presence import Presence
from sfm_core.engine.stores import Writable
from sfm_core.engine.waking import Chime
from sfm_core.errors import BackendUnavailableError, EncryptionKeyError, SfmError
from sfm_core.protocols.kv import (
    Commit,
    CommitResult,
    Committed,
    Entry,
    Write,
)

MAX_ROUNDS = 100
MAX_GROUP = 1000


@dataclass(slots=True)
class _Group:
    """The changes of one group, and what is known of the entries they depend on."""

    changes: Sequence[Change]
    results: list[Written | BaseException | None]
    drafts: Mapping[int, Draft]
    known: dict[Slot, Entry | None] = field(default_factory=dict[Slot, Entry | None])
    certain: set[Slot] = field(default_factory=set[Slot])

    def unfinished(self) -> list[int]:
        return [at for at, result in enumerate(self.results) if result is None]

    def learn(self, namespace: str, entries: View) -> None:
        for key, entry in entries.items():
            self.known[namespace, key] = entry
            self.certain.add((namespace, key))


class Committer:
    """Brings changes to the truth."""

    def __init__(
        self,
        stores: Writable,
        presence: Presence,
        *,
        logged: Chime | None = None,
        drafting: Drafting | None = None,
    ) -> None:
        """Commit to the truth of `stores` while `presence` has the right to.

        Args:
            stores: The backends.
            presence: Knows whether this engine may write.
            logged: Rung when events were logged.
            drafting: Embeds what is committed; where there is none, nothing is.
        """
        self._kv = stores.kv
        self._presence = presence
        self._logged = logged or Chime()
        self._drafting = drafting
        self._owner = stores.owner
        # Others follow the notes up at once where this engine does not.
        self._lease = stores.settings.lease if stores.settings.inline else timedelta()
        self._coalescer: Coalescer[Change, Written] = Coalescer(
            self._process, max_batch=MAX_GROUP, name="commit", observer=stores.observer
        )

    async def commit(self, change: Change) -> Written:
        """Make one change happen.

        Args:
            change: What is to happen.

        Returns:
            What happened, once the truth has committed it.

        Raises:
            SfmError: What the plan refused with, or why the truth did not answer.
        """
        return await self._coalescer.submit(change)

    async def commit_all(self, changes: Sequence[Change]) -> list[Written]:
        """Make many changes happen, each by itself, and raise the first error of any.

        Args:
            changes: What is to happen.

        Returns:
            What happened, in order, once the truth has committed it.

        Raises:
            SfmError: What a plan refused with, or why the truth did not answer; others of the
                changes may have happened.
        """
        return await self._coalescer.submit_all(changes)

    def hand_in(self, changes: Sequence[Change]) -> asyncio.Future[list[Written | BaseException]]:
        """Make many changes happen, each by itself, and wait for it later or not at all.

        Args:
            changes: What is to happen.

        Returns:
            What will hold what happened, or the error of that change, in order.
        """
        return self._coalescer.hand_in(changes)

    def withdraw(self, changes: Sequence[Change]) -> None:
        """Take changes back that no group has begun with; the others happen."""
        self._coalescer.withdraw(changes)

    async def close(self) -> None:
        """Finish what was handed in."""
        await self._coalescer.close()
        if self._drafting is not None:
            await self._drafting.close()

    async def _process(self, changes: list[Change]) -> Sequence[Written | BaseException]:
        group = _Group(changes, [None] * len(changes), self._drafts(changes))
        failure: SfmError = BackendUnavailableError(
            "Other writers changed the same memory again and again.",
            backend=self._kv.scheme,
            remedy="Try again, or let fewer writers work on one memory.",
        )
        try:
            await self._read(group, [change for change in changes if change.read_first])
            for _ in range(MAX_ROUNDS):
                todo = group.unfinished()
                if not todo:
                    break
                await self._round(group, todo)
        except SfmError as error:
            # What an earlier round has settled stays settled: it is in the truth.
            failure = error
        if isinstance(failure, EncryptionKeyError):
            await self._apart(group)
        return [failure if result is None else result for result in group.results]

    async def _apart(self, group: _Group) -> None:
        """Do what is left one namespace after the other, where that is still to be done.

        A key that one of them lacks has kept all of them from being written.
        """
        places: dict[str, list[int]] = {}
        for at in group.unfinished():
            places.setdefault(group.changes[at].namespace, []).append(at)
        if len(places) < 2:  # noqa: PLR2004 - alone already
            return
        for alone in places.values():
            results = await self._process([group.changes[at] for at in alone])
            for at, result in zip(alone, results, strict=True):
                group.results[at] = result

    def _drafts(self, changes: Sequence[Change]) -> dict[int, Draft]:
        said = {at: change.payload for at, change in enumerate(changes) if change.payload}
        if self._drafting is None or not said:
            return {}
        return dict(zip(said, self._drafting.begin([*said.values()]), strict=True))

    async def _read(self, group: _Group, changes: Sequence[Change]) -> None:
        wanted: dict[str, dict[bytes, None]] = {}
        for change in changes:
            wanted.setdefault(change.namespace, {}).update(dict.fromkeys(change.keys))
        for namespace, keys in wanted.items():
            entries = await self._kv.get_many(namespace, list(keys))
            group.learn(namespace, dict(zip(keys, entries, strict=True)))

    async def _round(self, group: _Group, todo: Sequence[int]) -> None:
        chains, unsure = self._plan(group, todo)
        if chains:
            commits = [chain.commit() for chain in chains]
            async with self._presence.writing():
                results = await self._kv.commit(commits, owner=self._owner, lease=self._lease)
            for chain, result in zip(chains, results, strict=True):
                _settle(group, chain, result)
            if any(commit.events for commit in commits):
                self._logged.ring()
        if unsure:
            await self._read(group, [group.changes[at] for at in unsure])

    def _plan(self, group: _Group, todo: Sequence[int]) -> tuple[list[_Chain], list[int]]:
        """Plan changes one after the other.

        A refusal, or the finding that nothing is to be written, only counts if
        it rests neither on a guess nor on a commit that may yet fail; changes
        where it does are returned as unsure.
        """
        overlay = dict(group.known)
        certain = set(group.certain)
        chains = _Chains()
        unsure: list[int] = []
        for at in todo:
            change = group.changes[at]
            slots = [(change.namespace, key) for key in change.keys]
            view = {slot[1]: overlay.get(slot) for slot in slots}
            outcome = _outcome(change, view)
            if isinstance(outcome, Planned) and outcome.commit is not None:
                guessed = not group.certain.issuperset(slots)
                chains.add(_Link(at, outcome.commit, outcome), view, guessed=guessed)
                written = {(change.namespace, w.key): w for w in outcome.commit.writes}
                overlay.update({slot: _entry(write) for slot, write in written.items()})
                certain.difference_update(written)
            elif not certain.issuperset(slots):
                unsure.append(at)
            elif isinstance(outcome, Planned):
                group.results[at] = _written(outcome)
            else:
                group.results[at] = outcome
        return chains.all(), unsure


class _Link(NamedTuple):
    """One planned change: its place in the group, and what it does."""

    at: int
    commit: Commit
    planned: Planned


@dataclass(slots=True, eq=False)
class _Chain:
    """Changes that rest on one another, and so happen together or not at all.

    An expectation names a version only, and another process may have given the
    same one to other content. So a change that was planned on what an earlier
    one writes must not happen where that one does not.
    """

    links: list[_Link] = field(default_factory=list[_Link])
    expect: dict[bytes, int] = field(default_factory=dict[bytes, int])

    def commit(self) -> Commit:
        """Return all of it as one commit."""
        commits = [link.commit for link in self.links]
        counters: dict[str, int] = {}
        for commit in commits:
            for name, amount in commit.counters.items():
                counters[name] = counters.get(name, 0) + amount
        return Commit(
            namespace=commits[0].namespace,
            writes=tuple(write for commit in commits for write in commit.writes),
            expect=self.expect,
            counters={name: amount for name, amount in counters.items() if amount},
            dirty=tuple(dict.fromkeys(key for commit in commits for key in commit.dirty)),
            events=tuple(event for commit in commits for event in commit.events),
        )

    def absorb(self, other: _Chain) -> None:
        """Take over another chain, keeping the order of changes."""
        self.links = sorted([*self.links, *other.links], key=lambda link: link.at)
        self.expect |= other.expect


class _Chains:
    """The chains of one round, and which of them writes what."""

    def __init__(self) -> None:
        self._chains: dict[_Chain, None] = {}
        self._writer: dict[Slot, _Chain] = {}
        self._guesses: dict[str, _Chain] = {}

    def add(self, link: _Link, view: View, *, guessed: bool) -> None:
        """Add a change that rests on `view`.

        Args:
            link: The change.
            view: What it was planned on.
            guessed: Whether the truth has not been asked for all of that.
        """
        namespace = link.commit.namespace
        writers = {key: self._writer.get((namespace, key)) for key in view}
        joined = list(dict.fromkeys(filter(None, writers.values())))
        if guessed:
            joined = list(dict.fromkeys([self._guesses.setdefault(namespace, _Chain()), *joined]))
        chain, *others = joined or [_Chain()]
        for other in others:
            self._merge(chain, other)
        self._chains[chain] = None
        chain.links.append(link)
        for key, entry in view.items():
            if writers[key] is None:
                chain.expect[key] = entry.version if entry else 0
        self._writer.update({(namespace, write.key): chain for write in link.commit.writes})

    def all(self) -> list[_Chain]:
        """Return the chains, in order of their first changes."""
        return list(self._chains)

    def _merge(self, chain: _Chain, other: _Chain) -> None:
        chain.absorb(other)
        del self._chains[other]
        self._writer.update({at: chain for at, was in self._writer.items() if was is other})
        self._guesses.update({at: chain for at, was in self._guesses.items() if was is other})


def _settle(group: _Group, chain: _Chain, result: CommitResult) -> None:
    namespace = chain.links[0].commit.namespace
    if not isinstance(result, Committed):
        group.learn(namespace, result.current)
        return
    notes = {note.key: note for note in result.notes}
    for at, commit, planned in chain.links:
        mine = tuple(notes[key] for key in commit.dirty)
        written = {write.key: _entry(write) for write in commit.writes}
        entries = {key: entry for key in commit.dirty if (entry := written.get(key))}
        draft = group.drafts.get(at)
        group.results[at] = replace(_written(planned), notes=mine, entries=entries, draft=draft)
        group.learn(namespace, written)


def _written(planned: Planned) -> Written:
    return Written(version=planned.version, revision=planned.revision, repeats=planned.repeats)


def _outcome(change: Change, view: View) -> Planned | SfmError:
    try:
        return change.plan(view)
    except SfmError as refusal:
        return refusal


def _entry(write: Write) -> Entry | None:
    return None if write.value is None else Entry(write.value, write.version)
