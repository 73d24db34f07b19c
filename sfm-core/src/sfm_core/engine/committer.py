"""Group commit: concurrent writers of a process share commits to the truth.

A writer hands in a *change*: the keys it depends on and a function that, given
what stands under them, plans a commit. Changes that come while a commit is
under way form the next group. Inside a group a later change sees what an
earlier one plans, so two writers of one memory need no second round.

Most writes make new memories. So unless a change asks to read first, the group
is planned as if its keys were absent: where that is wrong the store answers
with a conflict that carries the current entries, which costs no more than the
read would have.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sfm_core.engine.coalescer import Coalescer
from sfm_core.engine.stores import Stores
from sfm_core.errors import BackendUnavailableError, SfmError
from sfm_core.protocols.kv import Commit, CommitResult, Committed, DirtyNote, Entry, Write

View: TypeAlias = Mapping[bytes, Entry | None]
Slot: TypeAlias = tuple[str, bytes]

MAX_ROUNDS = 100
MAX_GROUP = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What a change wants to happen.

    Attributes:
        commit: What to write; its expectations are filled in by the committer.
            `None` if nothing is to be written.
        version: The version of the changed entry afterwards; 0 if there is none.
    """

    commit: Commit | None
    version: int


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
    """

    namespace: str
    keys: tuple[bytes, ...]
    plan: Callable[[View], Planned]
    read_first: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A change that happened.

    Attributes:
        version: The version of the changed entry; 0 if nothing was written.
        notes: Outbox notes to follow up, leased to this process.
    """

    version: int
    notes: tuple[DirtyNote, ...] = ()


@dataclass(slots=True)
class _Group:
    """The changes of one group, and what is known of the entries they depend on."""

    changes: Sequence[Change]
    results: list[Written | BaseException | None]
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

    def __init__(self, stores: Stores) -> None:
        """Commit to the truth of `stores`."""
        self._kv = stores.kv
        self._owner = stores.owner
        self._lease = stores.settings.lease
        self._coalescer: Coalescer[Change, Written] = Coalescer(self._process, max_batch=MAX_GROUP)

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

    async def commit_many(self, changes: Sequence[Change]) -> list[Written | BaseException]:
        """Make many changes happen, each by itself.

        Args:
            changes: What is to happen.

        Returns:
            What happened, or the error of that change, in order.
        """
        return await self._coalescer.submit_many(changes)

    async def close(self) -> None:
        """Finish what was handed in."""
        await self._coalescer.close()

    async def _process(self, changes: list[Change]) -> Sequence[Written | BaseException]:
        group = _Group(changes, [None] * len(changes))
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
        return [failure if result is None else result for result in group.results]

    async def _read(self, group: _Group, changes: Sequence[Change]) -> None:
        wanted: dict[str, dict[bytes, None]] = {}
        for change in changes:
            wanted.setdefault(change.namespace, {}).update(dict.fromkeys(change.keys))
        for namespace, keys in wanted.items():
            entries = await self._kv.get_many(namespace, list(keys))
            group.learn(namespace, dict(zip(keys, entries, strict=True)))

    async def _round(self, group: _Group, todo: Sequence[int]) -> None:
        planned, unsure = self._plan(group, todo)
        if planned:
            commits = [commit for _, commit, _ in planned]
            results = await self._kv.commit(commits, owner=self._owner, lease=self._lease)
            for (at, commit, version), result in zip(planned, results, strict=True):
                self._settle(group, at, commit, version, result)
        if unsure:
            await self._read(group, [group.changes[at] for at in unsure])

    def _plan(
        self, group: _Group, todo: Sequence[int]
    ) -> tuple[list[tuple[int, Commit, int]], list[int]]:
        """Plan changes one after the other.

        A refusal, or the finding that nothing is to be written, only counts if
        it rests neither on a guess nor on a commit that may yet fail; changes
        where it does are returned as unsure.
        """
        overlay = dict(group.known)
        certain = set(group.certain)
        planned: list[tuple[int, Commit, int]] = []
        unsure: list[int] = []
        for at in todo:
            change = group.changes[at]
            slots = [(change.namespace, key) for key in change.keys]
            view = {slot[1]: overlay.get(slot) for slot in slots}
            outcome = _outcome(change, view)
            if isinstance(outcome, Planned) and outcome.commit is not None:
                commit = replace(
                    outcome.commit,
                    expect={key: entry.version if entry else 0 for key, entry in view.items()},
                )
                planned.append((at, commit, outcome.version))
                written = {(commit.namespace, write.key): write for write in commit.writes}
                overlay.update({slot: _entry(write) for slot, write in written.items()})
                certain.difference_update(written)
            elif not certain.issuperset(slots):
                unsure.append(at)
            elif isinstance(outcome, Planned):
                group.results[at] = Written(version=outcome.version)
            else:
                group.results[at] = outcome
        return planned, unsure

    def _settle(
        self, group: _Group, at: int, commit: Commit, version: int, result: CommitResult
    ) -> None:
        if isinstance(result, Committed):
            group.results[at] = Written(version=version, notes=result.notes)
            written = {write.key: _entry(write) for write in commit.writes}
            group.learn(commit.namespace, written)
        else:
            group.learn(commit.namespace, result.current)


def _outcome(change: Change, view: View) -> Planned | SfmError:
    try:
        return change.plan(view)
    except SfmError as refusal:
        return refusal


def _entry(write: Write) -> Entry | None:
    return None if write.value is None else Entry(write.value, write.version)
