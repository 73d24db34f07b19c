"""Recalling within a deadline: what is late is left out and named.

The whole question has a head start, in company with others. If it has not been
answered by then, each arm is searched by itself as well. Whatever of that has come
at the end is the answer, so a slow embedder costs meaning but not the words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import NamedTuple

from sfm_core.engine.questions import Question
from sfm_core.engine.recall import MAX_BATCH, Recalling
from sfm_core.engine.searching import Searching
from sfm_core.engine.view import View
from sfm_core.errors import (
    BackendError,
    DeadlineExceededError,
    InvalidInputError,
    SfmError,
)
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.query import LATE, RecallQuery, TimelyAnswer
from sfm_core.protocols.vector import Hit, SearchResult

HEAD_START = 0.5
"""Part of the time in which nothing but the usual way is tried, which costs others least."""


class _Answered(NamedTuple):
    """A question with its `best`, and which arms have no part in it, each with the reason."""

    question: Question
    left_out: Mapping[str, str]


@dataclass(slots=True)
class _Partial:
    """What the arms have brought so far, each by itself, for questions that go together."""

    namespace: str
    queries: Sequence[RecallQuery]
    results: dict[str, Mapping[int, SearchResult]] = field(
        default_factory=dict[str, Mapping[int, SearchResult]]
    )
    failures: dict[str, str] = field(default_factory=dict[str, str])
    answered: Sequence[Question] = ()
    used: frozenset[str] = frozenset()

    @property
    def arms(self) -> frozenset[str]:
        """The arms that take part in any of the questions."""
        return frozenset(arm for query in self.queries for arm in query.arms)

    def places(self, arm: str) -> list[int]:
        """Return which of the questions an arm takes part in."""
        return [at for at, query in enumerate(self.queries) if arm in query.arms]

    def of(self, at: int) -> SearchResult:
        """Return what all arms together have found for a question."""
        return _merged(result[at] for result in self.results.values() if at in result)


class Timely:
    """Answers with what is there in time."""

    def __init__(self, recalling: Recalling, searching: Searching) -> None:
        """Recall as `recalling` does, or by one arm at a time with `searching`."""
        self._recalling = recalling
        self._searching = searching
        self._left: set[asyncio.Task[object]] = set()

    async def recall_many(
        self, namespace: str, queries: Sequence[RecallQuery], deadline: timedelta
    ) -> list[TimelyAnswer]:
        """Answer many queries in time; see `MemoryEngine.recall_many_within`."""
        self._recalling.check_many(namespace, queries)
        _check_deadline(deadline)
        begun = asyncio.get_running_loop().time()
        lots = [queries[at : at + MAX_BATCH] for at in range(0, len(queries), MAX_BATCH)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._recall(_Partial(namespace, lot), begun, deadline))
                    for lot in lots
                ]
        except ExceptionGroup as failures:
            # One reason is enough for the caller, and says more than a group of them.
            raise failures.exceptions[0] from failures
        answered = [one for task in tasks for one in task.result()]
        told = await self._recalling.told([one.question for one in answered])
        return [
            TimelyAnswer(found=tuple(found), left_out=one.left_out)
            for one, found in zip(answered, told, strict=True)
        ]

    async def _recall(
        self, partial: _Partial, begun: float, deadline: timedelta
    ) -> list[_Answered]:
        seconds = deadline.total_seconds()
        whole = asyncio.create_task(self._recalling.questions(partial.namespace, partial.queries))
        running: set[asyncio.Task[object]] = {whole}
        try:
            await asyncio.wait({whole}, timeout=seconds * HEAD_START)
            if not whole.done() or isinstance(whole.exception(), BackendError):
                arms = asyncio.create_task(self._by_arms(partial))
                running.add(arms)
                await _race(whole, arms, partial, begun + seconds)
                if not _succeeded(whole):
                    return _best_of(partial, [whole, arms], deadline)
            return [_Answered(question, {}) for question in whole.result()]
        finally:
            self._leave(running)

    async def close(self) -> None:
        """Wait for the end of what was given up."""
        await asyncio.gather(*self._left, return_exceptions=True)

    async def _by_arms(self, partial: _Partial) -> None:
        view = await self._searching.view()
        arms = {
            asyncio.create_task(self._search(view, partial, arm)): arm
            for arm in sorted(partial.arms)
        }
        pending = set(arms)
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for one in done:
                    _note(partial, arms[one], one)
                if partial.results.keys() != partial.used:
                    await self._answer(partial)
        finally:
            self._leave(pending)

    async def _search(self, view: View, partial: _Partial, arm: str) -> Mapping[int, SearchResult]:
        places = partial.places(arm)
        alone = [replace(partial.queries[at], arms=frozenset({arm})) for at in places]
        questions = [self._searching.question(partial.namespace, query) for query in alone]
        cues = await self._searching.cues(view, questions)
        results = await self._searching.find(view, questions, cues, range(len(places)))
        return dict(zip(places, results, strict=True))

    async def _answer(self, partial: _Partial) -> None:
        used = frozenset(partial.results)
        questions = [self._searching.question(partial.namespace, each) for each in partial.queries]
        for at, question in enumerate(questions):
            self._searching.rank(question, partial.of(at))
        await self._searching.hydrate(questions)
        partial.answered, partial.used = questions, used

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
    whole: asyncio.Task[list[Question]],
    arms: asyncio.Task[None],
    partial: _Partial,
    end: float,
) -> None:
    """Wait until the questions are answered in full, nothing runs any more, or time is up."""
    loop = asyncio.get_running_loop()
    pending: set[asyncio.Task[object]] = {one for one in (whole, arms) if not one.done()}
    while pending and partial.used != partial.arms and not _succeeded(whole):
        left = end - loop.time()
        done, pending = await asyncio.wait(
            pending, timeout=max(left, 0.0), return_when=asyncio.FIRST_COMPLETED
        )
        if not done:
            return


def _best_of(
    partial: _Partial,
    tried: Iterable[asyncio.Task[list[Question]] | asyncio.Task[None]],
    deadline: timedelta,
) -> list[_Answered]:
    if partial.answered and all(query.arms & partial.used for query in partial.queries):
        return [
            _Answered(
                question,
                {
                    arm: partial.failures.get(arm, LATE)
                    for arm in sorted(question.query.arms - partial.used)
                },
            )
            for question in partial.answered
        ]
    for one in tried:
        if one.done():
            one.result()
    raise DeadlineExceededError(
        f"No search was done within {deadline.total_seconds():.3g} s.",
        backend="recall",
        remedy="Allow more time, or see in /health which backend is slow.",
    )


def _succeeded(whole: asyncio.Task[list[Question]]) -> bool:
    return whole.done() and not whole.cancelled() and whole.exception() is None


def _note(partial: _Partial, arm: str, search: asyncio.Task[Mapping[int, SearchResult]]) -> None:
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
