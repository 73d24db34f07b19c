"""Recalling within a deadline: what is late is left out and named.

The whole question has a head start, in company with others. If it has not been
answered by then, each arm is searched by itself as well. Whatever of that has come
at the end is the answer, so a slow embedder costs meaning but not the words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import timedelta

from sfm_core.engine.indexes import View
from sfm_core.engine.recall import Recalling
from sfm_core.engine.searching import Question, Searching
from sfm_core.errors import (
    BackendError,
    DeadlineExceededError,
    InvalidInputError,
    SfmError,
)
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.query import LATE, Recalled, RecallQuery, TimelyAnswer
from sfm_core.protocols.vector import Hit, SearchResult

HEAD_START = 0.5
"""Part of the time in which nothing but the usual way is tried, which costs others least."""


@dataclass(slots=True)
class _Partial:
    """What the arms have brought so far, each by itself."""

    results: dict[str, SearchResult] = field(default_factory=dict[str, SearchResult])
    failures: dict[str, str] = field(default_factory=dict[str, str])
    answered: Question | None = None
    used: frozenset[str] = frozenset()


class Timely:
    """Answers with what is there in time."""

    def __init__(self, recalling: Recalling, searching: Searching) -> None:
        """Recall as `recalling` does, or by one arm at a time with `searching`."""
        self._recalling = recalling
        self._searching = searching
        self._left: set[asyncio.Task[object]] = set()

    async def recall(self, namespace: str, query: RecallQuery, deadline: timedelta) -> TimelyAnswer:
        """Answer one query in time; see `MemoryEngine.recall_within`."""
        self._recalling.check(namespace, query)
        _check_deadline(deadline)
        seconds = deadline.total_seconds()
        end = asyncio.get_running_loop().time() + seconds
        whole = asyncio.create_task(self._recalling.recall(namespace, query))
        running: set[asyncio.Task[object]] = {whole}
        try:
            await asyncio.wait({whole}, timeout=seconds * HEAD_START)
            if not whole.done() or isinstance(whole.exception(), BackendError):
                partial = _Partial()
                arms = asyncio.create_task(self._by_arms(namespace, query, partial))
                running.add(arms)
                await _race(whole, arms, partial, query, end)
                if not _succeeded(whole):
                    return self._best_of(query, partial, [whole, arms], deadline)
            return TimelyAnswer(found=tuple(whole.result()))
        finally:
            self._leave(running)

    async def close(self) -> None:
        """Wait for the end of what was given up."""
        await asyncio.gather(*self._left, return_exceptions=True)

    async def _by_arms(self, namespace: str, query: RecallQuery, partial: _Partial) -> None:
        view = await self._searching.view()
        arms = {
            asyncio.create_task(self._search(view, namespace, query, arm)): arm
            for arm in sorted(query.arms)
        }
        pending = set(arms)
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    _note(partial, arms[one], one)
                if partial.results.keys() != partial.used:
                    await self._answer(namespace, query, partial)
        finally:
            self._leave(pending)

    async def _search(
        self, view: View, namespace: str, query: RecallQuery, arm: str
    ) -> SearchResult:
        questions = [self._searching.question(namespace, replace(query, arms=frozenset({arm})))]
        cues = await self._searching.cues(view, questions)
        [result] = await self._searching.find(view, questions, cues, [0])
        return result

    async def _answer(self, namespace: str, query: RecallQuery, partial: _Partial) -> None:
        used = frozenset(partial.results)
        question = self._searching.question(namespace, query)
        self._searching.rank(question, _merged(partial.results.values()))
        await self._searching.hydrate([question])
        partial.answered, partial.used = question, used

    def _best_of(
        self,
        query: RecallQuery,
        partial: _Partial,
        tried: Iterable[asyncio.Task[list[Recalled]] | asyncio.Task[None]],
        deadline: timedelta,
    ) -> TimelyAnswer:
        if partial.answered is not None:
            missing = sorted(query.arms - partial.used)
            return TimelyAnswer(
                found=tuple(self._recalling.recalled(partial.answered)),
                left_out={arm: partial.failures.get(arm, LATE) for arm in missing},
            )
        for one in tried:
            if one.done():
                one.result()
        raise DeadlineExceededError(
            f"No search was done within {deadline.total_seconds():.3g} s.",
            backend="recall",
            remedy="Allow more time, or see in /health which backend is slow.",
        )

    def _leave(self, running: Iterable[asyncio.Task[object]]) -> None:
        """Give up what still runs, without waiting: it may take its time to end."""
        for one in running:
            one.cancel()
            self._left.add(one)
            one.add_done_callback(self._forget)

    def _forget(self, one: asyncio.Task[object]) -> None:
        self._left.discard(one)
        if not one.cancelled():
            one.exception()


async def _race(
    whole: asyncio.Task[list[Recalled]],
    arms: asyncio.Task[None],
    partial: _Partial,
    query: RecallQuery,
    end: float,
) -> None:
    """Wait until the question is answered in full, nothing runs any more, or time is up."""
    loop = asyncio.get_running_loop()
    pending: set[asyncio.Task[object]] = {one for one in (whole, arms) if not one.done()}
    while pending and partial.used != query.arms and not _succeeded(whole):
        left = end - loop.time()
        done, pending = await asyncio.wait(
            pending, timeout=max(left, 0.0), return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            return


def _succeeded(whole: asyncio.Task[list[Recalled]]) -> bool:
    return whole.done() and not whole.cancelled() and whole.exception() is None


def _note(partial: _Partial, arm: str, search: asyncio.Task[SearchResult]) -> None:
    failure = search.exception()
    if failure is None:
        partial.results[arm] = search.result()
    elif isinstance(failure, SfmError):
        partial.failures[arm] = failure.code
    else:
        raise failure


def _merged(results: Iterable[SearchResult]) -> SearchResult:
    """Make one result of what each arm has found by itself."""
    found: dict[Coordinate, Hit] = {}
    for hit in (hit for result in results for hit in result.hits):
        known = found.get(hit.coordinate)
        found[hit.coordinate] = hit if known is None else _both(known, hit)
    return SearchResult(hits=tuple(found.values()))


def _both(one: Hit, other: Hit) -> Hit:
    return replace(
        one if one.version >= other.version else other,
        dense=other.dense if one.dense is None else one.dense,
        keyword=other.keyword if one.keyword is None else one.keyword,
    )


def _check_deadline(deadline: timedelta) -> None:
    if deadline <= timedelta():
        raise InvalidInputError(
            "The deadline is not above zero.",
            field="deadline",
            remedy="Give it some time, or leave it out.",
        )
