"""Encryption of the truth: what is bound to what, and what is told when a key is not there."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import timedelta

import pytest

from sfm_core.engine.manifest import peek_manifest, read_manifest
from sfm_core.errors import CorruptDataError, EncryptionKeyError
from sfm_core.inprocess import InProcessKeyValueStore, KeyValueState
from sfm_core.model.keys import KeyRange
from sfm_core.model.names import SYSTEM_NAMESPACE
from sfm_core.protocols.kv import Commit, CommitResult, Conflict, Entry, KeyValueStore, Write
from sfm_server.encryption.ring import KeyRing, MasterKey
from sfm_server.encryption.store import EncryptedKeyValueStore
from sfm_server.encryption.watching import GivenKeys

SECRET = b"the whale sings"
ONE = MasterKey(id="one", secret=b"1" * 32)
TWO = MasterKey(id="two", secret=b"2" * 32)
OWN = MasterKey(id="own", secret=b"3" * 32, namespace="tenant")


def keys(*ring: MasterKey) -> GivenKeys:
    return GivenKeys(KeyRing(ring))


async def commit(store: KeyValueStore, *commits: Commit) -> list[CommitResult]:
    return await store.commit(commits, owner="test", lease=timedelta(seconds=1))


async def put(
    store: KeyValueStore, value: bytes = SECRET, *, namespace: str = "n", key: bytes = b"k"
) -> None:
    await commit(store, Commit(namespace=namespace, writes=(Write(key, value, 1),)))


async def entry(store: KeyValueStore, namespace: str = "n", key: bytes = b"k") -> Entry | None:
    [found] = await store.get_many(namespace, [key])
    return found


@pytest.fixture
async def raw() -> AsyncGenerator[InProcessKeyValueStore]:
    """The store as somebody sees it who has no keys."""
    async with InProcessKeyValueStore(state=KeyValueState()) as store:
        yield store


def opened(raw: InProcessKeyValueStore, *ring: MasterKey, plain: bool = False) -> KeyValueStore:
    return EncryptedKeyValueStore(raw, keys(*ring), plain=plain)


class TestValues:
    async def test_a_store_holds_none_in_clear(self, raw: InProcessKeyValueStore) -> None:
        await put(opened(raw, ONE))
        held = await entry(raw)
        assert held is not None
        assert SECRET not in held.value

    async def test_the_same_value_is_never_encrypted_alike(
        self, raw: InProcessKeyValueStore
    ) -> None:
        store = opened(raw, ONE)
        await put(store)
        first = await entry(raw)
        await put(store)
        assert await entry(raw) != first

    async def test_another_process_reads_what_one_wrote(self, raw: InProcessKeyValueStore) -> None:
        await put(opened(raw, ONE))
        assert await entry(opened(raw, ONE)) == Entry(SECRET, 1)

    @pytest.mark.parametrize(
        ("namespace", "key", "version"), [("m", b"k", 1), ("n", b"l", 1), ("n", b"k", 2)]
    )
    async def test_one_that_was_moved_is_corrupt(
        self, raw: InProcessKeyValueStore, namespace: str, key: bytes, version: int
    ) -> None:
        store = opened(raw, ONE)
        await put(store)
        await put(store, namespace="m", key=b"other")
        held = await entry(raw)
        assert held is not None
        moved = Write(key, held.value, version)
        await commit(raw, Commit(namespace=namespace, writes=(moved,)))
        with pytest.raises(CorruptDataError, match="belongs elsewhere"):
            await entry(store, namespace, key)

    @pytest.mark.parametrize("place", [-1, -20, 5, 0, 4])
    async def test_one_that_was_changed_is_never_taken(
        self, raw: InProcessKeyValueStore, place: int
    ) -> None:
        store = opened(raw, ONE)
        await put(store)
        held = await entry(raw)
        assert held is not None
        changed = bytearray(held.value)
        changed[place] ^= 1
        await put(raw, bytes(changed))
        with pytest.raises((CorruptDataError, EncryptionKeyError)):
            await entry(store)

    @pytest.mark.parametrize("length", [1, 5, 6, 20, 40])
    async def test_one_that_was_cut_off_is_corrupt(
        self, raw: InProcessKeyValueStore, length: int
    ) -> None:
        store = opened(raw, ONE, plain=True)
        await put(store)
        held = await entry(raw)
        assert held is not None
        await put(raw, held.value[:length] if length > 1 else b"\0SFM")
        with pytest.raises(CorruptDataError):
            await entry(store)

    async def test_one_in_clear_is_refused_unless_that_is_accepted(
        self, raw: InProcessKeyValueStore
    ) -> None:
        await put(raw)
        with pytest.raises(EncryptionKeyError, match="not encrypted"):
            await entry(opened(raw, ONE))
        assert await entry(opened(raw, ONE, plain=True)) == Entry(SECRET, 1)


class TestKeys:
    async def test_a_missing_one_is_named_wherever_it_is_met(
        self, raw: InProcessKeyValueStore
    ) -> None:
        await put(opened(raw, ONE))
        store = opened(raw, TWO)
        with pytest.raises(EncryptionKeyError, match="'one'") as caught:
            await entry(store)
        assert caught.value.key_id == "one"
        with pytest.raises(EncryptionKeyError, match="'one'"):
            await store.scan("n", [KeyRange(b"", None)], limit=10)

    async def test_a_wrong_one_is_named_and_overwrites_nothing(
        self, raw: InProcessKeyValueStore
    ) -> None:
        await put(opened(raw, ONE))
        wrong = opened(raw, MasterKey(id="one", secret=b"x" * 32))
        with pytest.raises(EncryptionKeyError, match="'one'"):
            await entry(wrong)
        with pytest.raises(EncryptionKeyError, match="'one'"):
            await put(wrong, b"other")
        assert await entry(opened(raw, ONE)) == Entry(SECRET, 1)

    async def test_a_conflict_about_an_unreadable_entry_fails_nobody_else(
        self, raw: InProcessKeyValueStore
    ) -> None:
        await put(opened(raw, ONE))
        store = opened(raw, TWO)
        mine = Commit(namespace="n", writes=(Write(b"k", b"v", 1),), expect={b"k": 0})
        other = Commit(namespace="m", writes=(Write(b"k", b"v", 1),))
        conflict, done = await commit(store, mine, other)
        assert isinstance(conflict, Conflict)
        assert not isinstance(done, Conflict)
        assert conflict.current[b"k"] is not None
        assert await entry(store, "m") == Entry(b"v", 1)

    async def test_the_newest_one_is_written_with_and_older_ones_are_read(
        self, raw: InProcessKeyValueStore
    ) -> None:
        await put(opened(raw, ONE))
        both = opened(raw, ONE, TWO)
        assert await entry(both) == Entry(SECRET, 1)
        await put(both, b"new")
        assert await entry(opened(raw, TWO)) == Entry(b"new", 1)

    async def test_a_namespace_has_its_own(self, raw: InProcessKeyValueStore) -> None:
        store = opened(raw, ONE, OWN)
        await put(store, namespace="tenant")
        await put(store)
        without = opened(raw, ONE)
        assert await entry(without) == Entry(SECRET, 1)
        with pytest.raises(EncryptionKeyError, match="'own'"):
            await entry(without, "tenant")

    async def test_a_destroyed_one_lets_nothing_be_read_or_written_with_another(
        self, raw: InProcessKeyValueStore
    ) -> None:
        await put(opened(raw, ONE, OWN), namespace="tenant")
        store = opened(raw, ONE, MasterKey(id="own", secret=b"", namespace="tenant"))
        with pytest.raises(EncryptionKeyError, match="destroyed"):
            await entry(store, "tenant")
        with pytest.raises(EncryptionKeyError, match="destroyed"):
            await put(store, namespace="tenant")


class TestManifest:
    async def test_a_server_without_keys_is_told_which_it_needs(
        self, raw: InProcessKeyValueStore
    ) -> None:
        await read_manifest(opened(raw, ONE), "test")
        with pytest.raises(EncryptionKeyError, match="'one'"):
            await peek_manifest(raw)

    async def test_a_look_at_an_empty_truth_leaves_it_empty(
        self, raw: InProcessKeyValueStore
    ) -> None:
        assert await peek_manifest(opened(raw, ONE)) is None
        assert await raw.scan(SYSTEM_NAMESPACE, [KeyRange(b"", None)], limit=1) == [[]]
