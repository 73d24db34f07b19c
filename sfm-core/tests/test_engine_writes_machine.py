"""Every kind of write, repeated, given up and in bulk, on two engines beside a model.

The law is that of the machine that this one adds to.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import NamedTuple

import pytest
from engine_house import NS, new
from engine_machine import QUIET, RARELY, WORDS, Engines, where, which
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from sfm_core.errors import (
    BackendUnavailableError,
    IdempotencyKeyReusedError,
    NotFoundError,
    VersionConflictError,
)
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import parse_filter
from sfm_core.model.idempotency import IdempotencyKey
from sfm_core.model.patch import EpisodePatch, MemoryPatch
from sfm_core.model.report import Stored
from sfm_core.model.selection import Selection

RETENTION = timedelta(minutes=10)
words = st.sampled_from(WORDS)
names = st.sampled_from(("one", "two"))


class Answer(NamedTuple):
    """What a write with a key has answered, and until when it is repeated."""

    asked: tuple[Coordinate, str]
    version: int
    until: datetime


class EveryWrite(Engines):
    """Adds all other writes to the simple ones."""

    engine_settings = replace(RARELY, idempotency_retention=RETENTION)

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, Answer] = {}

    @rule(by=which, c=where, word=words)
    def update(self, by: int, c: Coordinate, word: str) -> None:
        work = self.engines[by].update(NS, c, MemoryPatch(payload={"text": word}))
        if c in self.living():
            self._changed(c, word, self.do(work).version)
        else:
            with pytest.raises(NotFoundError):
                self.do(work)

    @rule(by=which, c=where, order=st.integers(0, 3), name=st.sampled_from(("tale", "saga", None)))
    def move_to_another_episode(self, by: int, c: Coordinate, order: int, name: str | None) -> None:
        if c in self.living():
            episode = EpisodePatch(name=name, order=order) if name else None
            stored = self.do(self.engines[by].update(NS, c, MemoryPatch(episode=episode)))
            self._changed(c, self.lives[c].word, stored.version)

    def _changed(self, c: Coordinate, word: str | None, version: int) -> None:
        life = self.lives[c]
        assert version == life.version + 1
        life.version, life.word = version, word

    @rule(by=which, c=where, word=words, name=names)
    def store_once(self, by: int, c: Coordinate, word: str, name: str) -> None:
        key = IdempotencyKey(name)
        work = self.engines[by].store(NS, new(c, word), idempotency_key=key)
        kept = self._kept(name)
        if kept is None:
            until = self.now + RETENTION
            version = self.do(work).version
            self._stored(c, word, None, version)
            self.answers[name] = Answer((c, word), version, until)
        elif kept.asked == (c, word):
            assert self.do(work).version == kept.version
        else:
            with pytest.raises(IdempotencyKeyReusedError):
                self.do(work)

    def _kept(self, name: str) -> Answer | None:
        answer = self.answers.get(name)
        return answer if answer and answer.until > self.now else None

    @rule(by=which, c=where, word=words, name=names, happens=st.booleans())
    def store_once_after_a_failure(
        self, by: int, c: Coordinate, word: str, name: str, *, happens: bool
    ) -> None:
        if self._kept(name) is None:
            plan = self.faults[by].kv
            (plan.lose_reply if happens else plan.fail)("commit", times=None)
            key = IdempotencyKey(name)
            with suppress(BackendUnavailableError):
                self.do(self.engines[by].store(NS, new(c, word), idempotency_key=key))
            plan.clear()
            self.store_once(1 - by, c, word, name)

    @rule(by=which, writes=st.lists(st.tuples(where, words), min_size=1, max_size=5))
    def store_many(self, by: int, writes: list[tuple[Coordinate, str]]) -> None:
        stored = self.do(self.engines[by].store_many(NS, [new(c, word) for c, word in writes]))
        for (c, word), one in zip(writes, stored, strict=True):
            assert isinstance(one, Stored)
            self._stored(c, word, None, one.version)

    @rule(by=which, wanted=st.lists(where, min_size=1, max_size=4))
    def delete_many(self, by: int, wanted: list[Coordinate]) -> None:
        dying = self.living() & set(wanted)
        assert self.do(self.engines[by].delete_many(NS, wanted)).count == len(dying)
        self._died(dying)

    @rule(by=which, word=words, purge=st.booleans())
    def delete_matching(self, by: int, word: str, *, purge: bool) -> None:
        dying = {c for c in self.living() if self.lives[c].word == word}
        picked = Selection(filter=parse_filter({"text": word}))
        cleared = self.do(self.engines[by].delete_matching(NS, picked, purge=purge))
        assert cleared.deleted == len(dying)
        self._died(dying)

    @rule(by=which, c=where)
    def delete_what_is_there(self, by: int, c: Coordinate) -> None:
        if c in self.living():
            version = self.lives[c].version
            assert self.do(self.engines[by].delete(NS, c, expected_version=version))
            self._died({c})

    @rule(by=which, c=where)
    def delete_expecting_something_else(self, by: int, c: Coordinate) -> None:
        with pytest.raises(VersionConflictError):
            self.do(self.engines[by].delete(NS, c, expected_version=self._version(c) + 1))

    def _died(self, dying: set[Coordinate]) -> None:
        for c in dying:
            self.lives[c].word, self.lives[c].version = None, self.lives[c].version + 1

    @rule(by=which, c=where)
    def purge(self, by: int, c: Coordinate) -> None:
        self.do(self.engines[by].purge(NS, c))
        self.lives[c].word = None
        with suppress(NotFoundError):
            assert self.do(self.engines[1 - by].history(NS, c)) == []

    @rule(by=which, c=where, word=words, committed=st.booleans())
    def store_and_give_up(self, by: int, c: Coordinate, word: str, *, committed: bool) -> None:
        plan = self.faults[by].kv

        async def give_up() -> None:
            gate = (plan.hold_reply if committed else plan.hold)("commit")
            begun = asyncio.ensure_future(self.engines[by].store(NS, new(c, word)))
            await gate.reached()
            behind = asyncio.ensure_future(self.engines[by].store(NS, new(c, "never")))
            await asyncio.sleep(0)
            begun.cancel()
            behind.cancel()
            await asyncio.wait([begun, behind])
            gate.open()
            assert begun.cancelled()
            assert behind.cancelled()

        self.do(give_up())
        # What was begun happens before what is asked for afterwards.
        self.store(by, c, word, None)

    @rule()
    def wait_long(self) -> None:
        self.do(self.house.sweep(QUIET))


EveryWrite.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, derandomize=True
)
TestEveryWrite = EveryWrite.TestCase
