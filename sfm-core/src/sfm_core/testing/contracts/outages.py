"""The contract of each port in an outage of its server."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta

import pytest

from sfm_core.errors import BackendUnavailableError
from sfm_core.model.events import START, Event
from sfm_core.protocols.cache import Cache, Cached
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.events import EventSink
from sfm_core.protocols.graph import Edge, EdgeId, GraphStore
from sfm_core.protocols.kv import Commit, Conflict, Entry, KeyValueStore, Write
from sfm_core.protocols.source import Delivery, EventSource, Rejection
from sfm_core.protocols.vector import Collection, Point, VectorQuery, VectorStore
from sfm_core.testing.clock import MovableClock
from sfm_core.testing.contracts._base import Operation
from sfm_core.testing.contracts._kv_base import OWNER, KeyValueTests
from sfm_core.testing.contracts._outage_base import OutageTests
from sfm_core.testing.contracts._vector_base import DIMENSION, VectorTests
from sfm_core.testing.contracts.cache import CacheTests
from sfm_core.testing.contracts.embedder import EmbedderTests
from sfm_core.testing.contracts.events import EventSinkTests
from sfm_core.testing.contracts.graph import GraphTests
from sfm_core.testing.contracts.sources import EventSourceTests, received
from sfm_core.testing.proxy import TcpProxy
from sfm_core.testing.samples import coordinate, event, event_note, point, unit_vectors

_NAMESPACE = "kit"
_COLLECTION = Collection(name="kit-main", dimension=DIMENSION)
_VECTORS = unit_vectors(64, DIMENSION)
_IN_HAND = 64
_WHY = Rejection(handler="kit", code="corrupt-data", reason="It says nothing.")


class KeyValueOutageContract(OutageTests[KeyValueStore], KeyValueTests):
    """What `KeyValueStore` promises in an outage; override `server_url` and `connect`.

    Where the server keeps the time, override `clock` and shorten `lease` as for
    `KeyValueStoreContract`.
    """

    _unsure: frozenset[bytes] = frozenset()
    _lost_replies = 0

    async def calls(self, backend: KeyValueStore) -> Sequence[Operation]:
        """Return calls that have something to do."""
        commit = Commit(namespace=_NAMESPACE, dirty=(b"k",), events=(event_note(b"k"),))
        notes = (await self.commit(backend, commit)).notes
        [event, *_] = await backend.read_events(after=START, limit=1)
        return (
            *self.operations(backend)[:7],
            lambda: backend.acknowledge(notes),
            lambda: backend.release(notes, owner=OWNER, delay=timedelta()),
            lambda: backend.outstanding([note.id for note in notes]),
            backend.outbox_status,
            lambda: backend.read_events(after=START, limit=1),
            lambda: backend.count_events(after=START, limit=1),
            backend.end_of_events,
            lambda: backend.any_trimmed(after=event.position),
            lambda: backend.trim_events(through=event.position),
        )

    async def write(self, backend: KeyValueStore, number: int, *, again: bool) -> None:
        """Commit an entry that must not be there, with a note, an event and a count."""
        key = b"%d" % number
        commit = Commit(
            namespace=_NAMESPACE,
            writes=(Write(key, key, 1),),
            expect={key: 0},
            counters={"written": 1},
            dirty=(key,),
            events=(event_note(key),),
        )
        try:
            [result] = await backend.commit([commit], owner=OWNER, lease=self.lease)
        except BackendUnavailableError:
            self._unsure |= {key}
            raise
        if isinstance(result, Conflict):
            # At a first attempt, it would be a repetition behind the caller's back that met itself.
            assert again
            assert result.current == {key: Entry(key, 1)}
            self._lost_replies += key in self._unsure

    async def check(self, backend: KeyValueStore, count: int) -> None:
        """Compare entries, counters, notes and events."""
        keys = {b"%d" % number for number in range(count)}
        assert dict(await self.contents(backend, _NAMESPACE)) == {k: Entry(k, 1) for k in keys}
        assert await backend.counters(_NAMESPACE) == {"written": count}
        assert (await backend.outbox_status()).depth == count
        events = await backend.read_events(after=START, limit=1000)
        assert sorted(event.note.key for event in events) == sorted(keys)

    async def read(self, backend: KeyValueStore) -> object:
        """Read the entry."""
        return await backend.get_many(_NAMESPACE, [b"0"])

    async def test_a_lost_reply_is_recognised_when_the_commit_is_repeated(
        self, backend: KeyValueStore, beside: KeyValueStore, proxy: TcpProxy
    ) -> None:
        """The commit happened, its caller was told that it may have, and finds it there."""
        await self.test_a_write_that_is_cut_anywhere_can_be_repeated(
            backend, beside, proxy, "answers"
        )
        assert self._lost_replies

    async def test_notes_of_a_claim_whose_reply_was_lost_come_back(
        self, backend: KeyValueStore, proxy: TcpProxy, clock: MovableClock
    ) -> None:
        """When their lease ends, so that no work is forgotten."""
        notes = await self.note(backend, _NAMESPACE, b"a", b"b")
        await backend.release(notes, owner=OWNER, delay=timedelta())
        proxy.cut_answers(times=None)
        with pytest.raises(BackendUnavailableError):
            await self.claim(backend, owner="lost", lease=self.lease)
        await proxy.pass_through()
        await clock.advance(self.lease * 1.5)
        await self.insist(backend.ping)
        assert {note.key for note in await self.claim(backend)} == {b"a", b"b"}


class VectorOutageContract(OutageTests[VectorStore], VectorTests):
    """What `VectorStore` promises in an outage; override `server_url` and `connect`."""

    async def prepare(self, backend: VectorStore) -> None:
        """Make the collection."""
        await backend.ensure(_COLLECTION)

    async def calls(self, backend: VectorStore) -> Sequence[Operation]:
        """Return calls that take nothing away from one another."""
        await self.write(backend, 0, again=True)
        spare = Collection(name="kit-spare", dimension=DIMENSION)
        calls = list(self.operations(backend))
        calls[-2] = lambda: backend.drop(spare)
        return calls

    async def write(self, backend: VectorStore, number: int, *, again: bool) -> None:  # noqa: ARG002 - a point may always be there
        """Write a point."""
        await backend.upsert(_COLLECTION, [_numbered(number)])

    async def check(self, backend: VectorStore, count: int) -> None:
        """List the points, and ask for all of them."""
        states = await backend.scroll(_COLLECTION, _NAMESPACE, after=None, limit=1000)
        expected = [_numbered(number).id for number in range(count)]
        assert [state.id for state in states] == expected
        query = VectorQuery(namespace=_NAMESPACE, limit=count * 2, vector=_VECTORS[0])
        [found] = await backend.search(_COLLECTION, [query])
        assert sorted(hit.coordinate.components for hit in found.hits) == sorted(
            one.coordinate.components for one in expected
        )

    async def read(self, backend: VectorStore) -> object:
        """Ask for the point."""
        query = VectorQuery(namespace=_NAMESPACE, limit=1, vector=_VECTORS[0])
        [found] = await backend.search(_COLLECTION, [query])
        return [(hit.coordinate, hit.version) for hit in found.hits]


class GraphOutageContract(OutageTests[GraphStore], GraphTests):
    """What `GraphStore` promises in an outage; override `server_url` and `connect`."""

    async def write(self, backend: GraphStore, number: int, *, again: bool) -> None:  # noqa: ARG002 - an edge may always be there
        """Write an edge."""
        await backend.apply(_NAMESPACE, upserts=[_edge(number)])

    async def check(self, backend: GraphStore, count: int) -> None:
        """List the edges, and look at them from either side."""
        edges = [_edge(number) for number in range(count)]
        assert await backend.scroll(_NAMESPACE, after=None, limit=1000) == edges
        [found] = await backend.neighbors(_NAMESPACE, [coordinate(-1.0)], limit=1000)
        assert found == edges

    async def read(self, backend: GraphStore) -> object:
        """Look around the node."""
        return await backend.neighbors(_NAMESPACE, [coordinate(-1.0)], limit=1)


class CacheOutageContract(OutageTests[Cache], CacheTests):
    """What `Cache` promises in an outage; override `server_url` and `connect`."""

    async def write(self, backend: Cache, number: int, *, again: bool) -> None:
        """Keep a copy, and count how often that was tried for the first time."""
        entry = Cached(1, b"%d" % number)
        await backend.set_if_newer(_NAMESPACE, {b"%d" % number: entry}, ttl=self.long_ttl)
        if not again:
            await backend.increment("first", 1, ttl=self.long_ttl)

    async def check(self, backend: Cache, count: int) -> None:
        """Read the copies; of what was counted, some may have got lost."""
        values = [b"%d" % number for number in range(count)]
        assert await backend.get_many(_NAMESPACE, values) == [Cached(1, v) for v in values]
        assert 1 <= await backend.increment("first", 0, ttl=self.long_ttl) <= count

    async def test_an_increment_is_not_repeated_behind_the_callers_back(
        self, backend: Cache, beside: Cache, proxy: TcpProxy
    ) -> None:
        """One whose reply is lost has counted once at most."""
        for attempt in range(1, 4):
            proxy.cut_answers()
            with suppress(BackendUnavailableError):
                await backend.increment("c", 1, ttl=self.long_ttl)
            await proxy.pass_through()
            await self.insist(backend.ping)
            assert await beside.increment("c", 0, ttl=self.long_ttl) <= attempt

    async def read(self, backend: Cache) -> object:
        """Read the copy."""
        return await backend.get_many(_NAMESPACE, [b"0"])


class EventSinkOutageContract(OutageTests[EventSink], EventSinkTests):
    """What `EventSink` promises in an outage.

    Override `server_url`, `connect` and `published`, as for `EventSinkContract`.
    """

    async def published(self, sink: EventSink, count: int) -> list[Event]:
        """Read back what a consumer would see, as for `EventSinkContract`.

        Args:
            sink: A sink that is spared the outages.
            count: How many different events are expected.

        Returns:
            The events of this test, duplicates too.

        Raises:
            NotImplementedError: The subclass does not say how.
        """
        raise NotImplementedError("Override `published` in your subclass.")

    async def write(self, backend: EventSink, number: int, *, again: bool) -> None:  # noqa: ARG002 - duplicates are allowed
        """Publish an event."""
        await backend.publish([event(_NAMESPACE, coordinate(1.0), number + 1)])

    async def check(self, backend: EventSink, count: int) -> None:
        """Leave out duplicates, and compare the order."""
        versions = [one.version for one in await self.published(backend, count)]
        assert list(dict.fromkeys(versions)) == list(range(1, count + 1))

    async def read(self, backend: EventSink) -> object:
        """Ask whether it works, which is all that a sink answers."""
        await backend.ping()
        return True


class EventSourceOutageContract(OutageTests[EventSource], EventSourceTests):
    """What `EventSource` promises in an outage.

    Override `server_url`, `connect` and `publish`, as for `EventSourceContract`; `publish` is
    spared the outages. What is written and read here are dead letters.
    """

    _in_hand: Sequence[Delivery] = ()

    async def publish(self, events: Sequence[Event]) -> None:
        """Put events on the stream, as for `EventSourceContract`.

        Args:
            events: What to publish.

        Raises:
            NotImplementedError: The subclass does not say how.
        """
        raise NotImplementedError("Override `publish` in your subclass.")

    async def prepare(self, backend: EventSource) -> None:
        """Take some events in hand."""
        here = coordinate(1.0)
        await self.publish([event(_NAMESPACE, here, version + 1) for version in range(_IN_HAND)])
        self._in_hand = await received(backend, _IN_HAND)

    async def calls(self, backend: EventSource) -> Sequence[Operation]:
        """Return calls that have something to do."""
        delivery = self._in_hand[0]
        return (
            backend.ping,
            lambda: backend.receive(limit=1, wait=timedelta(milliseconds=100)),
            lambda: backend.acknowledge([delivery]),
            lambda: backend.set_aside(delivery, _WHY),
            backend.lag,
            lambda: backend.dead_letters(limit=1),
            lambda: backend.retry(["nowhere"]),
            lambda: backend.drop(["nowhere"]),
        )

    async def write(self, backend: EventSource, number: int, *, again: bool) -> None:  # noqa: ARG002 - a letter may always be there
        """Set an event aside."""
        await backend.set_aside(self._in_hand[number], _WHY)

    async def check(self, backend: EventSource, count: int) -> None:
        """List the letters."""
        letters = await backend.dead_letters(limit=1000)
        expected = [delivery.place for delivery in self._in_hand[:count]]
        assert sorted(letter.place for letter in letters) == sorted(expected)

    async def read(self, backend: EventSource) -> object:
        """Read the oldest letter."""
        return [letter.place for letter in await backend.dead_letters(limit=1)]


class EmbedderOutageContract(OutageTests[Embedder], EmbedderTests):
    """What `Embedder` promises in an outage of its service; override `server_url` and `connect`."""

    async def write(self, backend: Embedder, number: int, *, again: bool) -> None:  # noqa: ARG002 - nothing is kept
        """Embed a text; there is nothing that stays."""
        assert len(await backend.embed([f"text {number}"])) == 1

    async def check(self, backend: Embedder, count: int) -> None:
        """Embed them all."""
        assert len(await backend.embed([f"text {number}" for number in range(count)])) == count

    async def read(self, backend: Embedder) -> object:
        """Embed a text."""
        vectors = await backend.embed(["text 0"])
        return vectors.tolist()


def _numbered(number: int) -> Point:
    return point(_NAMESPACE, coordinate(float(number)), _VECTORS[number], terms={"t": 1.0})


def _edge(number: int) -> Edge:
    ends = EdgeId(source=coordinate(-1.0), type="related", target=coordinate(float(number)))
    return Edge(id=ends, weight=float(number), version=1)
