"""Having writes happen once for each idempotency key.

What a write has answered is kept beside it, in the same commit, and the commit
expects that nothing is kept yet. So of two requests with one key, wherever they
run, one loses, and then answers what the other one has answered. The version
under which an answer is kept is the time until when it counts. So a key that is
used again after its time is never taken for the same one.

A write of many commits keeps one answer per item, each in the commit of its
item, and one for itself, which says what was asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from sfm_core.engine.changes import Change, Planned, View
from sfm_core.engine.stores import Stores
from sfm_core.errors import CorruptDataError, IdempotencyKeyReusedError
from sfm_core.model.idempotency import (
    IdempotencyKey,
    KeptAnswer,
    decode_answer,
    digest_of_request,
    encode_answer,
)
from sfm_core.model.keys import EPISODE, answer_end_key, answer_key, milliseconds_of
from sfm_core.protocols.kv import Commit, Entry, Write

_Answers: TypeAlias = Mapping[bytes, tuple[KeptAnswer | None, int]]
"""What to keep, by key, each with its version."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """An answer that counts, and until when."""

    answer: KeptAnswer
    until: int


class Once:
    """Has one write happen once, or each item of one; without a key, whenever it is asked for.

    Attributes:
        at: When it is asked for, for the first time as far as this process knows.
    """

    def __init__(self, stores: Stores, key: IdempotencyKey | None, *asked: object) -> None:
        """Bind a key to what is asked for.

        Args:
            stores: For clock, settings and messages.
            key: The key, if there is one.
            asked: What tells this request from others.
        """
        self.at = stores.clock.now()
        self._clock = stores.clock
        self._retention = stores.settings.idempotency_retention
        self._backend = stores.kv.scheme
        self._digest = None if key is None else key.digest
        self._asked = b"" if key is None else digest_of_request(*asked)

    def write(self, change: Change) -> Change:
        """Return a change that happens once for the key.

        Args:
            change: What is to happen.

        Returns:
            A change that keeps what it answers, or repeats what was kept; it is refused
            with `IdempotencyKeyReusedError` if that is the answer to another request.
        """
        if self._digest is None:
            return change
        key = answer_key(self._digest)

        def plan(view: View) -> Planned:
            kept = self._kept(change.namespace, key, view[key])
            if kept is not None:
                self._expect(kept.answer, self._asked)
                return _again(change.namespace, kept.answer)
            planned = change.plan(view)
            until = self._until()
            return _keeping(planned, change.namespace, self._first(until, planned))

        return replace(change, keys=(*change.keys, key), plan=plan)

    def item(self, change: Change, item: int, *asked: object) -> Change:
        """Return a change that happens once for an item of a write with the key.

        Args:
            change: What is to happen.
            item: Its place.
            asked: What tells this item from others, beside what tells the whole.

        Returns:
            A change like that of `write`.
        """
        if self._digest is None:
            return change
        head, key = answer_key(self._digest), answer_key(self._digest, item)
        digest = digest_of_request(*asked) if asked else b""

        def plan(view: View) -> Planned:
            whole = self._kept(change.namespace, head, view[head])
            if whole is not None:
                self._expect(whole.answer, self._asked)
            kept = self._kept(change.namespace, key, view[key])
            if whole is not None and kept is not None and kept.until == whole.until:
                self._expect(kept.answer, digest)
                return _again(change.namespace, kept.answer)
            planned = change.plan(view)
            until = self._until() if whole is None else whole.until
            mine: _Answers = {key: (self._answer(digest, planned), until)}
            first = self._first(until) if whole is None else mine
            return _keeping(planned, change.namespace, {**first, **mine})

        return replace(change, keys=(*change.keys, head, key), plan=plan)

    def _kept(self, namespace: str, key: bytes, entry: Entry | None) -> _Kept | None:
        if entry is None or entry.version <= milliseconds_of(self._clock.now()):
            return None
        try:
            return _Kept(decode_answer(entry.value), entry.version)
        except ValueError as error:
            raise CorruptDataError(
                f"The entry {key.hex()} of namespace {namespace!r} cannot be read: {error}",
                backend=self._backend,
                remedy="Use another idempotency key, after looking whether the write happened.",
            ) from error

    def _expect(self, kept: KeptAnswer, asked: bytes) -> None:
        if kept.asked != asked:
            raise IdempotencyKeyReusedError(
                "The idempotency key was given to another write before.",
                remedy="Use a new key for each write, and the same only to repeat a write as it "
                "was.",
            )

    def _until(self) -> int:
        return milliseconds_of(self._clock.now() + self._retention)

    def _first(self, until: int, planned: Planned | None = None) -> _Answers:
        digest = self._digest or b""
        return {
            answer_key(digest): (self._answer(self._asked, planned), until),
            answer_end_key(until, digest): (None, 1),
        }

    def _answer(self, asked: bytes, planned: Planned | None) -> KeptAnswer:
        if planned is None:
            return KeptAnswer(asked=asked, at=self.at)
        return KeptAnswer(
            asked=asked,
            at=self.at,
            version=planned.version,
            revision=planned.revision,
            # The place in an episode that a memory has left would tell its name.
            dirty=tuple(key for key in planned.commit.dirty if key[:1] != EPISODE)
            if planned.commit
            else (),
            picks=planned.picks,
        )


def _again(namespace: str, kept: KeptAnswer) -> Planned:
    """Write nothing, but leave a note: whoever repeats a write wants to know when it is found."""
    return Planned(
        commit=Commit(namespace=namespace, dirty=kept.dirty) if kept.dirty else None,
        version=kept.version,
        revision=kept.revision,
        repeats=kept,
    )


def _keeping(planned: Planned, namespace: str, answers: _Answers) -> Planned:
    commit = planned.commit or Commit(namespace=namespace)
    writes = [
        Write(key, b"" if answer is None else encode_answer(answer), version)
        for key, (answer, version) in answers.items()
    ]
    return replace(planned, commit=replace(commit, writes=(*commit.writes, *writes)))
