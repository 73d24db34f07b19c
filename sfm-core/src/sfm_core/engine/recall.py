"""The read path: from a question to memories that the truth vouches for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sfm_core.engine.access import AccessRecorder
from sfm_core.engine.coalescer import Coalescer
from sfm_core.engine.corrections import Corrections
from sfm_core.engine.index import WordIndex
from sfm_core.engine.indexes import Indexes
from sfm_core.engine.inputs import check_batch, check_count, check_namespace, check_text
from sfm_core.engine.ranking import Score, fuse, score
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import MemoryState, Truth
from sfm_core.errors import BackendError, InvalidInputError, LimitExceededError, SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filters import matches
from sfm_core.model.keys import memory_key
from sfm_core.model.query import Recalled, RecallQuery
from sfm_core.model.record import MemoryRecord
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.vector import Collection, Hit, SearchResult, VectorQuery
from sfm_core.text.analysis import Analyzer, add_terms

log = logging.getLogger(__name__)

MAX_BATCH = 64
ARMS = frozenset({"dense", "keyword"})
CONTEXT_WEIGHT = 0.3
"""What words of the context count beside those of the query."""
SPARE = 10
"""Memories hydrated beyond top_k, so that recency and importance can reorder the end."""


class _Candidate(NamedTuple):
    """A memory that lives and answers."""

    score: Score
    coordinate: Coordinate
    version: int
    record: MemoryRecord


@dataclass(slots=True)
class _Question:
    """One query on its way through a batch."""

    namespace: str
    query: RecallQuery
    limit: int
    fused: list[tuple[float, Hit]] = field(default_factory=list[tuple[float, Hit]])
    exhausted: bool = False
    best: list[_Candidate] = field(default_factory=list[_Candidate])


@dataclass(frozen=True, slots=True)
class _Filler:
    """A collection that is searched by words only, and the terms of each question for it."""

    collection: Collection
    terms: Sequence[dict[str, float] | None]

    @classmethod
    def of(cls, words: WordIndex | None, questions: Sequence[_Question]) -> _Filler | None:
        if words is None:
            return None
        return cls(words.collection, [_terms(q.query, words.analyzer) for q in questions])

    def at(self, places: Sequence[int]) -> _Filler:
        return _Filler(self.collection, [self.terms[place] for place in places])


class Recalling:
    """Answers questions. Concurrent questions share embedding, search and hydration."""

    def __init__(
        self,
        stores: Stores,
        truth: Truth,
        indexes: Indexes,
        corrections: Corrections,
        access: AccessRecorder,
    ) -> None:
        """Answer from `indexes` and `truth`; tell `corrections` what is found stale."""
        self._stores = stores
        self._truth = truth
        self._indexes = indexes
        self._corrections = corrections
        self._access = access
        self._coalescer: Coalescer[tuple[str, RecallQuery], list[Recalled]] = Coalescer(
            self._process, max_batch=MAX_BATCH, concurrency=2
        )

    async def recall(self, namespace: str, query: RecallQuery) -> list[Recalled]:
        """Answer one query; see `MemoryEngine.recall`."""
        self._check(namespace, query)
        return await self._coalescer.submit((namespace, query))

    async def recall_many(
        self, namespace: str, queries: Sequence[RecallQuery]
    ) -> list[list[Recalled]]:
        """Answer many queries; see `MemoryEngine.recall_many`."""
        check_namespace(namespace)
        check_batch(queries, self._stores.settings.limits.max_batch, field="queries")
        for query in queries:
            self._check(namespace, query)
        results = await self._coalescer.submit_many([(namespace, query) for query in queries])
        answers: list[list[Recalled]] = []
        for result in results:
            if isinstance(result, BaseException):
                raise result
            answers.append(result)
        return answers

    async def close(self) -> None:
        """Finish the questions in hand, and the corrections that they have asked for."""
        await self._coalescer.close()
        await self._corrections.close()

    def _check(self, namespace: str, query: RecallQuery) -> None:
        limits = self._stores.settings.limits
        check_namespace(namespace)
        check_count(query.top_k, limits.max_top_k, field="top_k")
        check_text(query.text, field="query")
        check_text(query.context, field="context")
        if not query.arms or query.arms - ARMS:
            raise InvalidInputError(
                f"arms is {sorted(query.arms)}.",
                field="arms",
                remedy='Use "dense", "keyword", or both.',
            )
        if not query.text.strip():
            raise InvalidInputError(
                "query is empty.", field="query", remedy="Say what to recall, in plain language."
            )
        if len(query.text) + len(query.context) > limits.max_query_characters:
            raise LimitExceededError(
                f"query and context have more than {limits.max_query_characters} characters.",
                field="query",
                remedy="Ask with fewer words.",
            )

    async def _process(
        self, batch: list[tuple[str, RecallQuery]]
    ) -> Sequence[list[Recalled] | BaseException]:
        try:
            return await self._answer(batch)
        except BackendError as error:
            if error.retryable:
                raise
            if len(batch) == 1:
                return [error]
        # One memory that cannot be read must not fail the questions that do not meet it.
        half = len(batch) // 2
        return [*await self._process(batch[:half]), *await self._process(batch[half:])]

    async def _answer(self, batch: list[tuple[str, RecallQuery]]) -> list[list[Recalled]]:
        depth = self._stores.settings.ranking.candidates
        questions = [
            _Question(namespace, query, max(depth, 2 * query.top_k)) for namespace, query in batch
        ]
        view = await self._indexes.current()
        vectors = await self._embed(questions, view.searched.embedder)
        terms = [_terms(question.query, view.searched.analyzer) for question in questions]
        filler = _Filler.of(view.filler, questions)
        todo = list(range(len(questions)))
        while todo:
            asked = [self._vector_query(questions[at], vectors[at], terms[at]) for at in todo]
            results = await self._stores.vector.search(view.searched.collection, asked)
            if filler is not None:
                results = await self._fill(results, asked, filler.at(todo))
            for at, result in zip(todo, results, strict=True):
                self._rank(questions[at], result)
            await self._hydrate([questions[at] for at in todo])
            todo = [at for at in todo if not questions[at].exhausted]
            for at in todo:
                questions[at].limit *= 4
        return [self._recalled(question) for question in questions]

    async def _embed(
        self, questions: Sequence[_Question], embedder: Embedder
    ) -> list[NDArray[np.float32] | None]:
        wanted = [at for at, q in enumerate(questions) if "dense" in q.query.arms]
        found: list[NDArray[np.float32] | None] = [None] * len(questions)
        if wanted:
            texts = [_cue(questions[at].query) for at in wanted]
            vectors = await embedder.embed(texts)
            for row, at in enumerate(wanted):
                found[at] = vectors[row]
        return found

    def _vector_query(
        self,
        question: _Question,
        vector: NDArray[np.float32] | None,
        terms: dict[str, float] | None,
    ) -> VectorQuery:
        return VectorQuery(
            namespace=question.namespace,
            limit=question.limit,
            vector=vector,
            terms=terms,
            type=question.query.type,
            filter=question.query.filter,
        )

    async def _fill(
        self, found: Sequence[SearchResult], asked: Sequence[VectorQuery], filler: _Filler
    ) -> list[SearchResult]:
        """Add what only the keyword arm of another collection finds."""
        results = list(found)
        wanted = [at for at, terms in enumerate(filler.terms) if terms]
        queries = [replace(asked[at], vector=None, terms=filler.terms[at]) for at in wanted]
        try:
            more = await self._stores.vector.search(filler.collection, queries) if queries else []
        except SfmError as error:
            log.info("no words of %s: %s: %s", filler.collection.name, error.code, error)
            return results
        for at, extra in zip(wanted, more, strict=True):
            known = {hit.coordinate for hit in results[at].hits}
            new = (hit for hit in extra.hits if hit.coordinate not in known)
            results[at] = SearchResult(hits=(*results[at].hits, *new))
        return results

    def _rank(self, question: _Question, result: SearchResult) -> None:
        question.fused = fuse(result.hits, self._stores.settings.ranking)
        # Fewer hits than one arm may give: asking for more would bring no more.
        question.exhausted = len(result.hits) < question.limit

    async def _hydrate(self, questions: Sequence[_Question]) -> None:
        """Read the best candidates from the truth until each question has enough that live."""
        for question in questions:
            question.best = []
        cursor = dict.fromkeys(range(len(questions)), 0)
        while cursor:
            pages = {
                at: questions[at].fused[start : start + questions[at].query.top_k + SPARE]
                for at, start in cursor.items()
            }
            await self._accept(questions, pages)
            cursor = {
                at: cursor[at] + len(page)
                for at, page in pages.items()
                if page and len(questions[at].best) < questions[at].query.top_k
            }
        for question in questions:
            top_k = question.query.top_k
            question.best.sort(key=lambda one: (-one.score.total, one.coordinate))
            question.exhausted = question.exhausted or len(question.best) >= top_k
            del question.best[top_k:]

    async def _accept(
        self, questions: Sequence[_Question], pages: dict[int, list[tuple[float, Hit]]]
    ) -> None:
        wanted: dict[str, dict[Coordinate, None]] = {}
        for at, page in pages.items():
            wanted.setdefault(questions[at].namespace, {}).update(
                (hit.coordinate, None) for _, hit in page
            )
        states = {name: await self._states(name, list(wanted[name])) for name in wanted}
        now = self._stores.clock.now()
        ranking = self._stores.settings.ranking
        stale: dict[str, set[bytes]] = {}
        for at, page in pages.items():
            question = questions[at]
            for relevance, hit in page:
                state = states[question.namespace][hit.coordinate]
                living = state.record if state.record and state.record.alive(now) else None
                if living is None or state.version != hit.version:
                    stale.setdefault(question.namespace, set()).add(memory_key(hit.coordinate))
                if living is not None and self._answers(question, hit.coordinate, living):
                    scored = score(living, relevance, hit, ranking, now)
                    question.best.append(_Candidate(scored, hit.coordinate, state.version, living))
        for namespace, keys in stale.items():
            self._corrections.correct(namespace, keys)

    async def _states(
        self, namespace: str, coordinates: Sequence[Coordinate]
    ) -> dict[Coordinate, MemoryState]:
        states = await self._truth.memories(namespace, coordinates)
        return dict(zip(coordinates, states, strict=True))

    def _answers(self, question: _Question, where: Coordinate, record: MemoryRecord) -> bool:
        wanted = question.query
        if wanted.type is not None and record.type is not wanted.type:
            return False
        return wanted.filter is None or matches(
            wanted.filter, self._truth.payload(question.namespace, where, record)
        )

    def _recalled(self, question: _Question) -> list[Recalled]:
        namespace = question.namespace
        self._access.touch(namespace, [one.coordinate for one in question.best])
        return [
            Recalled(
                memory=self._truth.memory(namespace, one.coordinate, one.version, one.record),
                score=one.score.total,
                parts=one.score.parts,
            )
            for one in question.best
        ]


def _terms(query: RecallQuery, analyzer: Analyzer) -> dict[str, float] | None:
    if "keyword" not in query.arms:
        return None
    terms = analyzer.terms(query.text)
    if query.context:
        add_terms(terms, analyzer.terms(query.context), CONTEXT_WEIGHT)
    return terms


def _cue(query: RecallQuery) -> str:
    return f"{query.text}\n{query.context}" if query.context else query.text
