"""Contract of the key-value port: the event log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import pytest

from sfm_core.errors import InvalidInputError
from sfm_core.model.events import START, EventNote, EventType, LoggedEvent, Position
from sfm_core.protocols import MAX_BATCH
from sfm_core.protocols.kv import Commit, Committed, KeyValueStore, Write
from sfm_core.testing.contracts._base import read_pages
from sfm_core.testing.contracts._kv_base import OWNER, KeyValueTests
from sfm_core.testing.samples import HOSTILE_KEYS, MADE_UP_POSITIONS, MOMENT, event_note


class EventLogTests(KeyValueTests):
    """`read_events`, `count_events`, `end_of_events`, `any_trimmed` and `trim_events`."""

    async def test_events_are_read_in_the_order_of_their_commits(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Over namespaces, and inside a commit in the order given."""
        commits = [
            Commit(namespace=namespace, events=(event_note(b"b"), event_note(b"a"))),
            Commit(namespace=namespace + "2", events=(event_note(b"c"),)),
        ]
        await store.commit(commits, owner=OWNER, lease=self.lease)
        log = await self.append(store, namespace, event_note(b"d"))
        assert [event.note.key for event in log] == [b"b", b"a", b"c", b"d"]
        assert [event.namespace for event in log][1:3] == [namespace, namespace + "2"]

    async def test_events_come_back_as_they_were_given(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Type, key, version and time, to the microsecond."""
        notes = [
            EventNote(type=kind, key=key, version=version, at=MOMENT)
            for kind, key, version in zip(
                (*EventType, *EventType), HOSTILE_KEYS[-8:], (1, 2**53 + 1) * 4, strict=True
            )
        ]
        log = await self.append(store, namespace, *notes)
        assert [event.note for event in log] == notes

    async def test_the_log_is_read_on_from_a_position(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Each page starts after the last event of the one before; at the end is nothing."""
        log = await self.append(store, namespace, *(event_note(b"%d" % n) for n in range(25)))
        assert await _read_in_pages(store, START) == log
        assert await _read_in_pages(store, log[9].position) == log[10:]
        assert await store.read_events(after=log[-1].position, limit=5) == []

    async def test_no_two_events_share_a_position(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """A position names one place, also inside one commit."""
        log = await self.append(store, namespace, *[event_note(b"k")] * 12)
        assert len({event.position for event in log}) == 12
        assert START not in {event.position for event in log}

    async def test_a_position_of_another_store_is_refused(self, store: KeyValueStore) -> None:
        """Reading from a wrong place would skip events in silence."""
        foreign = Position("kit: not a position")
        with pytest.raises(InvalidInputError):
            await store.read_events(after=foreign, limit=1)
        with pytest.raises(InvalidInputError):
            await store.count_events(after=foreign, limit=1)
        with pytest.raises(InvalidInputError):
            await store.any_trimmed(after=foreign)
        with pytest.raises(InvalidInputError):
            await store.trim_events(through=foreign)

    @pytest.mark.parametrize("made_up", MADE_UP_POSITIONS, ids=range(len(MADE_UP_POSITIONS)))
    async def test_a_made_up_position_is_refused_or_has_nothing_after_it(
        self, store: KeyValueStore, namespace: str, made_up: str
    ) -> None:
        """However long it is, and however much it looks like a number; no other error comes."""
        await self.append(store, namespace, event_note(b"k"))
        position = Position(made_up)
        with suppress(InvalidInputError):
            assert await store.read_events(after=position, limit=1) == []
            assert await store.count_events(after=position, limit=1) == 0
            assert not await store.any_trimmed(after=position)
            return
        with pytest.raises(InvalidInputError):
            await store.count_events(after=position, limit=1)
        with pytest.raises(InvalidInputError):
            await store.any_trimmed(after=position)
        with pytest.raises(InvalidInputError):
            await store.trim_events(through=position)

    async def test_events_are_counted_from_a_position_as_far_as_the_limit(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Those before the position, and those that were removed, are not counted."""
        log = await self.append(store, namespace, *(event_note(b"%d" % n) for n in range(12)))
        await store.trim_events(through=log[1].position)
        assert await store.count_events(after=START, limit=100) == 10
        assert await store.count_events(after=log[0].position, limit=100) == 10
        assert await store.count_events(after=log[4].position, limit=100) == 7
        assert await store.count_events(after=log[4].position, limit=3) == 3
        assert await store.count_events(after=log[-1].position, limit=100) == 0

    async def test_many_events_are_counted_exactly(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """However many a store looks at in one step."""
        notes = tuple(event_note(b"k", version) for version in range(1, 1202))
        await self.commit(store, Commit(namespace=namespace, events=notes))
        assert await store.count_events(after=START, limit=1200) == 1200
        assert await store.count_events(after=START, limit=MAX_BATCH) == 1201

    async def test_events_count_before_anybody_has_read_them(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Else a log that nobody reads would look like an empty one."""
        notes = tuple(event_note(b"%d" % n) for n in range(3))
        await self.commit(store, Commit(namespace=namespace, events=notes))
        assert await store.count_events(after=START, limit=100) == 3
        [first, *_] = await store.read_events(after=START, limit=1)
        await self.commit(store, Commit(namespace=namespace, events=notes))
        assert await store.count_events(after=first.position, limit=100) == 5

    async def test_the_end_of_the_log_is_where_later_events_come_after(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Also before anybody has read what is there, and once nothing is left there."""
        assert await store.end_of_events() == START
        notes = tuple(event_note(b"%d" % n) for n in range(3))
        await self.commit(store, Commit(namespace=namespace, events=notes))
        end = await store.end_of_events()
        assert await store.read_events(after=end, limit=9) == []
        log = await self.append(store, namespace, event_note(b"new"))
        assert await store.read_events(after=end, limit=9) == log[3:]
        assert await store.end_of_events() == log[-1].position
        await store.trim_events(through=log[-1].position)
        assert await store.end_of_events() == log[-1].position

    async def test_the_end_of_a_long_log_is_its_last_event(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """However many events nobody has read yet."""
        notes = (event_note(b"k"),) * (MAX_BATCH + 1)
        await self.commit(store, Commit(namespace=namespace, events=notes))
        end = await store.end_of_events()
        assert await store.read_events(after=end, limit=1) == []

    async def test_an_event_is_before_an_end_that_was_told_after_its_commit(
        self, make: Callable[[], KeyValueStore], namespace: str
    ) -> None:
        """Whoever begins at the end is not told of what was acknowledged before."""
        async with make() as store, make() as other:
            ends = [await store.end_of_events()]
            for number in range(5):
                writer, reader = (store, other) if number % 2 else (other, store)
                await self.commit(writer, Commit(namespace=namespace, events=(event_note(b"k"),)))
                ends.append(await reader.end_of_events())
            for number, end in enumerate(ends):
                assert len(await store.read_events(after=end, limit=9)) == 5 - number

    async def test_who_has_missed_what_was_trimmed_is_told(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Nobody is who has read all that is gone; who is at `START` has read nothing."""
        log = await self.append(store, namespace, *(event_note(b"%d" % n) for n in range(6)))
        positions = [START, *(event.position for event in log)]

        async def told() -> list[bool]:
            return [await store.any_trimmed(after=position) for position in positions]

        assert await told() == [False] * 7
        await store.trim_events(through=log[2].position)
        assert await told() == [True, True, True, False, False, False, False]
        await store.trim_events(through=log[0].position)
        assert await told() == [True, True, True, False, False, False, False]
        await store.trim_events(through=log[5].position)
        assert await told() == [True, True, True, True, True, True, False]

    async def test_what_was_trimmed_is_told_after_opening_again(
        self, make: Callable[[], KeyValueStore], namespace: str
    ) -> None:
        """Also where nothing is left, and what came afterwards does not hide it."""
        async with make() as store:
            log = await self.append(store, namespace, *[event_note(b"old")] * 3)
            await store.trim_events(through=log[-1].position)
        async with make() as store:
            assert await store.any_trimmed(after=log[1].position)
            assert not await store.any_trimmed(after=log[2].position)
            await self.append(store, namespace, event_note(b"new"))
            assert await store.any_trimmed(after=log[1].position)
            assert not await store.any_trimmed(after=log[2].position)

    async def test_trimming_removes_the_start_and_moves_nothing(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Positions of what stays are as before."""
        log = await self.append(store, namespace, *(event_note(b"%d" % n) for n in range(12)))
        assert await store.trim_events(through=log[4].position) == 5
        assert await store.read_events(after=START, limit=100) == log[5:]
        assert await store.read_events(after=log[2].position, limit=100) == log[5:]
        assert await store.read_events(after=log[7].position, limit=100) == log[8:]

    async def test_trimming_twice_is_no_error(self, store: KeyValueStore, namespace: str) -> None:
        """The second time there is nothing to remove; before the start neither."""
        log = await self.append(store, namespace, *[event_note(b"k")] * 3)
        assert await store.trim_events(through=START) == 0
        assert await store.trim_events(through=log[1].position) == 2
        assert await store.trim_events(through=log[1].position) == 0
        assert await store.trim_events(through=log[0].position) == 0
        assert await store.read_events(after=START, limit=9) == log[2:]

    async def test_a_log_that_was_emptied_goes_on_where_it_was(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """A position is never given out again, or a reader would miss events."""
        log = await self.append(store, namespace, *[event_note(b"old")] * 3)
        last = log[-1].position
        assert await store.trim_events(through=last) == 3
        await self.append(store, namespace, event_note(b"new"))
        found = await store.read_events(after=last, limit=9)
        assert [event.note.key for event in found] == [b"new"]
        assert found[0].position not in {event.position for event in log}

    async def test_a_log_that_was_emptied_goes_on_after_opening_again(
        self, make: Callable[[], KeyValueStore], namespace: str
    ) -> None:
        """The last position is remembered even if no event is left to show it."""
        async with make() as store:
            log = await self.append(store, namespace, *[event_note(b"old")] * 3)
            await store.trim_events(through=log[-1].position)
        async with make() as store:
            await self.append(store, namespace, event_note(b"new"))
            found = await store.read_events(after=log[-1].position, limit=9)
            assert [event.note.key for event in found] == [b"new"]

    async def test_a_reader_beside_writers_misses_no_event(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """No event appears before a position that was already read."""
        seen = await self._follow(store, [store] * 4, namespace)
        assert seen == await store.read_events(after=START, limit=1000)

    async def test_a_reader_beside_other_instances_misses_no_event(
        self, make: Callable[[], KeyValueStore], namespace: str
    ) -> None:
        """Whatever transactions of other connections run meanwhile."""
        async with make() as reader, make() as one, make() as other:
            seen = await self._follow(reader, [one, other], namespace)
            assert seen == await reader.read_events(after=START, limit=1000)

    async def test_events_of_a_key_are_in_order_of_its_versions(
        self, store: KeyValueStore, namespace: str
    ) -> None:
        """Writers that compete for one key leave a log that tells how it went."""
        await self._follow(store, [store] * 4, namespace)
        log = await store.read_events(after=START, limit=1000)
        assert [event.note.version for event in log] == list(range(1, len(log) + 1))

    async def _follow(
        self, reader: KeyValueStore, writers: list[KeyValueStore], namespace: str
    ) -> list[LoggedEvent]:
        seen: list[LoggedEvent] = []
        tasks = [asyncio.create_task(self._write(writer, namespace)) for writer in writers]
        position: Position = START
        while True:
            finished = all(task.done() for task in tasks)
            page = await reader.read_events(after=position, limit=7)
            if page:
                assert page[-1] not in seen
                seen += page
                position = page[-1].position
            elif finished:
                break
        await asyncio.gather(*tasks)
        return seen

    async def _write(self, store: KeyValueStore, namespace: str) -> None:
        written = 0
        while written < 15:
            [entry] = await store.get_many(namespace, [b"k"])
            version = entry.version if entry else 0
            commit = Commit(
                namespace=namespace,
                writes=(Write(b"k", b"", version + 1),),
                expect={b"k": version},
                events=(event_note(b"k", version + 1),),
            )
            [result] = await store.commit([commit], owner=OWNER, lease=self.lease)
            written += isinstance(result, Committed)


async def _read_in_pages(store: KeyValueStore, after: Position) -> list[LoggedEvent]:
    async def page_after(last: LoggedEvent | None) -> list[LoggedEvent]:
        return await store.read_events(after=last.position if last else after, limit=4)

    return await read_pages(page_after)
