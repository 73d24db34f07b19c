"""Contract of the key-value port: the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta

import pytest

from sfm_core.errors import LimitExceededError
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.kv import Commit, Committed, DirtyNote, KeyValueStore
from sfm_core.testing.clock import MovableClock
from sfm_core.testing.contracts._kv_base import OWNER, KeyValueTests
from sfm_core.testing.samples import HOSTILE_KEYS

_TOLERANCE = timedelta(seconds=2)
NO_NOTES = ("", "none", "-1", "1.5", "\0", "٣", "9" * 18, "9" * 19, "9" * 400, "a" * 4000)
"""Ids that no store has given to a note of a test."""


class OutboxTests(KeyValueTests):
    """`claim`, `acknowledge`, `release`, `outstanding` and `outbox_status`."""

    async def test_a_commit_leaves_one_note_per_dirty_key_in_order(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Each names its key and namespace, and no two have the same id."""
        notes = [*await self.note(store, namespace, *HOSTILE_KEYS)]
        notes += await self.note(store, namespace, b"more")
        assert [note.key for note in notes] == [*HOSTILE_KEYS, b"more"]
        assert {note.namespace for note in notes} == {namespace}
        assert {note.attempts for note in notes} == {0}
        assert len({note.id for note in notes}) == len(notes)

    async def test_notes_are_born_leased_to_the_committer(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Nobody takes over work that was only just begun, its owner not either."""
        await self.note(store, namespace, b"k", lease=self.long_lease)
        assert await self.claim(store) == []
        assert await self.claim(store, owner=OWNER) == []

    async def test_notes_of_a_commit_without_a_lease_can_be_claimed_at_once(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """By whoever follows them up for a committer that does not."""
        commit = Commit(namespace=namespace, dirty=(b"a", b"b"))
        [result] = await store.commit([commit], owner=OWNER, lease=timedelta())
        assert isinstance(result, Committed)
        assert await self.claim(store, limit=1) == list(result.notes[:1])
        assert await self.claim(store, owner=OWNER) == list(result.notes[1:])

    async def test_notes_can_be_claimed_when_the_lease_has_ended(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """So the work of a dead process is adopted, the oldest first."""
        notes = await self.note(store, namespace, *HOSTILE_KEYS)
        await clock.advance(self.lease * 1.25)
        assert await self.claim(store) == list(notes)

    async def test_the_lease_holds_until_its_end(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """A slow owner keeps its work for as long as it was promised."""
        begun = clock.now()
        await self.note(store, namespace, b"k")
        await clock.advance(self.lease * 0.5)
        assert await self.claim(store) == [] or clock.now() - begun >= self.lease

    async def test_claiming_takes_a_lease_of_its_own(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """Nobody else gets the note until that has ended, and then somebody does."""
        await self.note(store, namespace, b"long", b"short")
        await clock.advance(self.lease * 1.25)
        [long] = await self.claim(store, owner="first", limit=1)
        [short] = await self.claim(store, owner="first", limit=1, lease=self.lease)
        assert [long.key, short.key] == [b"long", b"short"]
        await clock.advance(self.lease * 1.25)
        assert await self.claim(store, owner="second") == [short]
        assert await self.claim(store, owner="first") == []

    async def test_a_claim_takes_no_more_than_its_limit_the_oldest_first(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """Over commits and namespaces alike."""
        notes = [*await self.note(store, namespace, b"z", b"a")]
        notes += await self.note(store, namespace + "2", b"m")
        notes += await self.note(store, namespace, b"b")
        await clock.advance(self.lease * 1.25)
        assert await self.claim(store, limit=3) == notes[:3]
        assert await self.claim(store, limit=3) == notes[3:]

    async def test_two_claimers_never_share_a_note(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """Claims that run at once divide the notes among themselves."""
        await self.note(store, namespace, *(b"%d" % number for number in range(100)))
        await clock.advance(self.lease * 1.25)
        claims = [self.claim(store, owner=f"o{n}", limit=7) for n in range(20)]
        claimed = [note.id for part in await asyncio.gather(*claims) for note in part]
        assert len(claimed) == len(set(claimed)) == 100

    async def test_an_acknowledged_note_is_gone(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """And the others stay."""
        done, left = await self.note(store, namespace, b"done", b"left")
        await store.acknowledge([done])
        await clock.advance(self.lease * 1.25)
        assert await self.claim(store) == [left]

    async def test_acknowledging_twice_or_the_unknown_is_no_error(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """A reply that was lost may be asked for again."""
        done, _ = await self.note(store, namespace, b"done", b"left")
        await store.acknowledge([done, done])
        await store.acknowledge([done])
        assert (await store.outbox_status()).depth == 1

    async def test_acknowledging_leaves_the_notes_of_other_commits_for_the_key(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """Whoever read the truth before the second commit knows nothing of it."""
        [first] = await self.note(store, namespace, b"k")
        [second] = await self.note(store, namespace, b"k")
        await store.acknowledge([first])
        await clock.advance(self.lease * 1.25)
        assert await self.claim(store) == [second]

    async def test_a_claimed_note_can_be_acknowledged(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """Whoever adopted the work finishes it."""
        await self.note(store, namespace, b"k")
        await clock.advance(self.lease * 1.25)
        await store.acknowledge(await self.claim(store))
        assert (await store.outbox_status()).depth == 0

    async def test_a_released_note_can_be_claimed_at_once(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Its lease has ended, and it tells how often it was tried."""
        notes = await self.note(store, namespace, b"k")
        await store.release(notes, owner=OWNER, delay=timedelta())
        [claimed] = await self.claim(store)
        assert claimed == DirtyNote(id=notes[0].id, namespace=namespace, key=b"k", attempts=1)

    async def test_attempts_grow_with_each_release(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """So that whoever claims it can wait longer each time."""
        [note] = await self.note(store, namespace, b"k")
        for attempts in (1, 2, 3):
            holder = OWNER if attempts == 1 else "another"
            await store.release([note], owner=holder, delay=timedelta())
            [note] = await self.claim(store)
            assert note.attempts == attempts

    async def test_a_released_note_rests_for_its_delay(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """Nobody claims it before."""
        short, long = await self.note(store, namespace, b"short", b"long")
        begun = clock.now()
        await store.release([short], owner=OWNER, delay=self.lease * 2)
        await store.release([long], owner=OWNER, delay=self.long_lease)
        await clock.advance(self.lease * 1.5)
        early = await self.claim(store)
        assert early == [] or clock.now() - begun >= self.lease * 2
        await clock.advance(self.lease)
        assert [note.key for note in early + await self.claim(store)] == [b"short"]

    async def test_only_the_holder_can_release(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """One that was too slow does not end the lease of whoever took over."""
        held = await self.note(store, namespace, b"held", lease=self.long_lease)
        await store.release(held, owner="stranger", delay=timedelta())
        assert await self.claim(store) == []
        late = await self.note(store, namespace, b"late")
        await clock.advance(self.lease * 1.25)
        assert await self.claim(store, owner="heir") == list(late)
        await store.release(late, owner=OWNER, delay=timedelta())
        assert await self.claim(store) == []

    async def test_releasing_what_was_acknowledged_does_not_bring_it_back(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Unknown notes are ignored."""
        notes = await self.note(store, namespace, b"k")
        await store.acknowledge(notes)
        await store.release(notes, owner=OWNER, delay=timedelta())
        assert await self.claim(store) == []
        assert (await store.outbox_status()).depth == 0

    async def test_notes_are_outstanding_until_they_are_acknowledged(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """Whoever holds them, and however often they were tried."""
        notes = await self.note(store, namespace, *(b"%d" % number for number in range(200)))
        ids = [note.id for note in notes]
        assert await store.outstanding(ids) == [True] * 200
        await store.release(notes[:50], owner=OWNER, delay=timedelta())
        await clock.advance(self.lease * 1.25)
        await self.claim(store, limit=100)
        assert await store.outstanding(ids) == [True] * 200
        await store.acknowledge(notes[::2])
        assert await store.outstanding(ids) == [False, True] * 100

    async def test_whether_notes_are_outstanding_is_told_in_the_order_of_the_question(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """One element each, over all namespaces, also where one is asked for twice."""
        [first] = await self.note(store, namespace, b"k")
        [done] = await self.note(store, namespace, b"k")
        [other] = await self.note(store, namespace + "2", b"k")
        await store.acknowledge([done])
        asked = [other.id, done.id, first.id, done.id, other.id]
        assert await store.outstanding(asked) == [True, False, True, False, True]

    async def test_what_is_no_note_is_not_outstanding(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Callers can make ids up; another spelling of one is another id."""
        [note] = await self.note(store, namespace, b"k")
        strange = [*NO_NOTES, f" {note.id}", f"0{note.id}", f"{note.id}\n"]
        assert await store.outstanding(strange) == [False] * len(strange)
        assert await store.outstanding([*strange, note.id]) == [False] * len(strange) + [True]

    async def test_too_many_ids_are_refused(self, store: KeyValueStore) -> None:
        """As everywhere, before anything is asked."""
        with pytest.raises(LimitExceededError):
            await store.outstanding(["1"] * (MAX_BATCH + 1))

    async def test_another_instance_sees_what_is_outstanding(
        self, make: Callable[[], KeyValueStore], namespace: str
    ) -> None:
        """From the moment of the commit to that of the acknowledgement, wherever they are made."""
        async with make() as one, make() as other:
            [note] = await self.note(one, namespace, b"k")
            assert await other.outstanding([note.id]) == [True]
            await other.acknowledge([note])
            assert await one.outstanding([note.id]) == [False]
            [newer] = await self.note(other, namespace, b"k")
            assert await one.outstanding([note.id, newer.id]) == [False, True]

    async def test_the_status_tells_depth_and_age_over_all_namespaces(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """The age is that of the oldest note that is not acknowledged."""
        before = await store.outbox_status()
        assert (before.depth, before.oldest_at) == (0, None)
        moments = [clock.now()]
        first = await self.note(store, namespace, b"a")
        moments.append(clock.now())
        await clock.advance(self.lease * 0.5)
        moments.append(clock.now())
        await self.note(store, namespace + "2", b"b", b"c")
        moments.append(clock.now())
        status = await store.outbox_status()
        assert status.depth == 3
        assert status.oldest_at is not None
        assert moments[0] - _TOLERANCE < status.oldest_at < moments[1] + _TOLERANCE
        await store.acknowledge(first)
        status = await store.outbox_status()
        assert status.depth == 2
        assert status.oldest_at is not None
        assert moments[2] - _TOLERANCE < status.oldest_at < moments[3] + _TOLERANCE

    async def test_claimed_notes_still_count_as_waiting(
        self, store: KeyValueStore, namespace: str, clock: MovableClock
    ) -> None:
        """Work that somebody has begun is not done."""
        await self.note(store, namespace, b"k")
        await clock.advance(self.lease * 1.25)
        await self.claim(store)
        assert (await store.outbox_status()).depth == 1

    async def test_notes_are_there_after_opening_again(
        self, make: Callable[[], KeyValueStore], namespace: str, clock: MovableClock
    ) -> None:
        """Leases too: a restart does not hand out what another still works on."""
        async with make() as store:
            notes = await self.note(store, namespace, b"k")
            await self.note(store, namespace, b"held", lease=self.long_lease)
        async with make() as store:
            await clock.advance(self.lease * 1.25)
            assert await self.claim(store) == list(notes)

    async def test_another_instance_adopts_the_notes(
        self, make: Callable[[], KeyValueStore], namespace: str, clock: MovableClock
    ) -> None:
        """And its acknowledgement counts for all."""
        async with make() as one, make() as other:
            await self.note(one, namespace, b"held", lease=self.long_lease)
            assert await self.claim(other) == []
            notes = await self.note(one, namespace, b"k")
            await clock.advance(self.lease * 1.25)
            claimed = await self.claim(other)
            assert claimed == list(notes)
            await other.acknowledge(claimed)
            assert (await one.outbox_status()).depth == 1

    async def test_notes_of_one_key_in_one_commit_are_apart(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """One note per element of `dirty`, as it says."""
        commit = Commit(namespace=namespace, dirty=(b"k", b"k"))
        notes = (await self.commit(store, commit)).notes
        assert len({note.id for note in notes}) == 2
