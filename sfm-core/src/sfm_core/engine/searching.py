"""Finding what answers questions: one search for both arms, ranked, then read from the truth."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sfm_core.engine.apart import inline_or_apart
from sfm_core.engine.corrections import Corrections
from sfm_core.engine.index import Index, WordIndex
from sfm_core.engine.indexes import Indexes
from sfm_core.engine.past import Past
from sfm_core.engine.questions import Candidate, Living, Question, unfitting
from sfm_core.engine.ranking import fuse, score
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import MemoryState, Truth
from sfm_core.engine.view import View
from sfm_core.errors import SfmError
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.keys import memory_key
from sfm_core.model.memory import Memory
from sfm_core.model.query import Recalled, RecallQuery
from sfm_core.protocols.observer import Figure
from sfm_core.protocols.vector import Collection, Hit, SearchResult, VectorQuery
from sfm_core.text.analysis import Analyzer, add_terms

log = logging.getLogger(__name__)

CONTEXT_WEIGHT = 0.3
"""What words of the context count beside those of the query."""
MAX_CHARACTERS_INLINE = 2000
"""Beyond that, finding the terms of queries takes longer than the event loop may stand still."""


class Cues(NamedTuple):
    """What questions are searched with, one of each per question.

    Attributes:
        vectors: Their vectors; `None` leaves the dense arm out.
        terms: Their terms; `None` leaves the keyword arm out.
        filling: Their terms for the filler; `None` where there is none.
    """

    vectors: Sequence[NDArray[np.float32] | None]
    terms: Sequence[dict[str, float] | None]
    filling: Sequence[dict[str, float] | None]


class Searching:
    """Searches, ranks and hydrates."""

    def __init__(
        self, stores: Stores, truth: Truth, indexes: Indexes, corrections: Corrections
    ) -> None:
        """Search what `indexes` names, read `truth`; tell `corrections` what is found stale."""
        self._stores = stores
        self._truth = truth
        self._indexes = indexes
        self._corrections = corrections
        self._past = Past(stores, truth)

    async def close(self) -> None:
        """Finish the corrections that searches have asked for."""
        await self._corrections.close()

    def question(self, namespace: str, query: RecallQuery) -> Question:
        """Return a query as a question that nothing was done for yet."""
        depth = self._stores.settings.ranking.candidates
        max_bytes = self._stores.settings.limits.max_answer_bytes
        return Question(namespace, query, max(depth, 2 * query.top_k), max_bytes=max_bytes)

    async def answer(self, questions: Sequence[Question]) -> None:
        """Find the best memories for each question, sharing all work.

        Args:
            questions: What to answer; each is given its `best`.

        Raises:
            BackendError: A backend failed.
        """
        view = await self._indexes.current()
        cues = await self.cues(view, questions)
        todo = list(range(len(questions)))
        while todo:
            results = await self.find(view, questions, cues, todo)
            for at, result in zip(todo, results, strict=True):
                self.rank(questions[at], result)
            await self.hydrate([questions[at] for at in todo])
            todo = [at for at in todo if not questions[at].exhausted]
            for at in todo:
                questions[at].limit *= 4

    async def view(self) -> View:
        """Return what is searched now."""
        return await self._indexes.current()

    async def cues(self, view: View, questions: Sequence[Question]) -> Cues:
        """Make vectors and terms of questions.

        Args:
            view: What will be searched.
            questions: The questions.

        Returns:
            What to search with.

        Raises:
            BackendError: The embedder failed.
        """
        vectors = await _embed(questions, view.searched)

        def words() -> Cues:
            return Cues(
                vectors=vectors,
                terms=[_terms(each.query, view.searched.analyzer) for each in questions],
                filling=_filling(questions, view.filler),
            )

        characters = sum(len(each.query.text) + len(each.query.context) for each in questions)
        return await inline_or_apart(words, cost=characters, limit=MAX_CHARACTERS_INLINE)

    async def find(
        self, view: View, questions: Sequence[Question], cues: Cues, places: Sequence[int]
    ) -> list[SearchResult]:
        """Search once for several questions.

        Args:
            view: What to search.
            questions: All questions.
            cues: What they are searched with.
            places: Which of them to search for.

        Returns:
            What was found for each of those, in order.

        Raises:
            BackendError: The vector store failed.
        """
        asked = [_vector_query(questions[at], cues.vectors[at], cues.terms[at]) for at in places]
        results = await self._stores.vector.search(view.searched.collection, asked)
        if view.filler is None:
            return results
        return await self._fill(
            results, asked, view.filler.collection, [cues.filling[at] for at in places]
        )

    def rank(self, question: Question, result: SearchResult) -> None:
        """Put what was found for a question in order."""
        question.fused = fuse(result.hits, self._stores.settings.ranking)
        # Fewer hits than one arm may give: asking for more would bring no more.
        question.exhausted = len(result.hits) < question.limit

    async def hydrate(self, questions: Sequence[Question]) -> None:
        """Read the best candidates from the truth until each question has enough that live.

        Args:
            questions: Questions whose hits are ranked; each is given its `best`.

        Raises:
            BackendError: The truth failed, or holds something unreadable.
        """
        for question in questions:
            question.begin()
        todo = list(range(len(questions)))
        while todo:
            await self._accept(questions, {at: questions[at].page() for at in todo})
            todo = [at for at in todo if questions[at].wants_more()]

    def recalled(self, questions: Sequence[Question]) -> list[list[Recalled]]:
        """Return the answers to questions; what answers several of them is decoded once."""
        decoded: dict[tuple[str, Coordinate, str], Memory] = {}

        def memory(namespace: str, one: Candidate) -> Memory:
            place = (namespace, one.coordinate, one.record.revision(one.version))
            found = decoded.get(place)
            if found is None:
                found = self._truth.memory(namespace, one.coordinate, one.version, one.record)
                decoded[place] = found
            return found

        return [
            [
                Recalled(
                    memory=memory(question.namespace, one),
                    score=one.score.total,
                    parts=one.score.parts,
                )
                for one in question.best
            ]
            for question in questions
        ]

    async def _fill(
        self,
        found: Sequence[SearchResult],
        asked: Sequence[VectorQuery],
        filler: Collection,
        filling: Sequence[dict[str, float] | None],
    ) -> list[SearchResult]:
        """Add what only the keyword arm of another collection finds."""
        results = list(found)
        wanted = [at for at, terms in enumerate(filling) if terms]
        queries = [replace(asked[at], vector=None, terms=filling[at]) for at in wanted]
        try:
            more = await self._stores.vector.search(filler, queries) if queries else []
        except SfmError as error:
            log.info("no words of %s: %s: %s", filler.name, error.code, error)
            return results
        for at, extra in zip(wanted, more, strict=True):
            known = {hit.coordinate for hit in results[at].hits}
            new = (hit for hit in extra.hits if hit.coordinate not in known)
            results[at] = SearchResult(hits=(*results[at].hits, *new))
        return results

    async def _accept(
        self, questions: Sequence[Question], pages: dict[int, list[tuple[float, Hit]]]
    ) -> None:
        wanted: dict[str, dict[Coordinate, None]] = {}
        for at, page in pages.items():
            wanted.setdefault(questions[at].namespace, {}).update(
                (hit.coordinate, None) for _, hit in page
            )
        states = {name: await self._states(name, list(wanted[name])) for name in wanted}
        now = self._stores.clock.now()
        stale: dict[str, set[bytes]] = {}
        living: dict[int, list[Living]] = {}
        for at, page in pages.items():
            question, hits = questions[at], [hit for _, hit in page]
            present = states[question.namespace]
            for hit in hits:
                if self._misleads(hit, present[hit.coordinate], now):
                    stale.setdefault(question.namespace, set()).add(memory_key(hit.coordinate))
            then = await self._as_asked(question, hits, present)
            living[at] = _living(question, page, then, now)
        unfit = await unfitting(self._truth, questions, living)
        ranking = self._stores.settings.ranking
        for at, found in living.items():
            moment = questions[at].query.as_of or now
            fit = [
                Candidate(
                    score(one.record, one.relevance, one.hit, ranking, moment),
                    one.hit.coordinate,
                    one.version,
                    one.record,
                )
                for one in found
                if (at, id(one.record)) not in unfit
            ]
            questions[at].take(fit, [len(one.record.payload) for one in found])
        for namespace, keys in stale.items():
            self._corrections.correct(namespace, keys)

    def _misleads(self, hit: Hit, state: MemoryState, now: datetime) -> bool:
        """Tell whether the index says something else than the truth, and count that."""
        orphan = state.record is None or not state.record.alive(now)
        if orphan or state.version != hit.version:
            self._stores.observer.count(Figure.RECALL_ORPHANS if orphan else Figure.RECALL_STALE, 1)
            return True
        return False

    async def _as_asked(
        self, question: Question, hits: Sequence[Hit], present: Mapping[Coordinate, MemoryState]
    ) -> Mapping[Coordinate, MemoryState | None]:
        """Return what was there at the time that a question is about."""
        moment = question.query.as_of
        if moment is None:
            return present
        coordinates = [hit.coordinate for hit in hits]
        then = await self._past.told(
            question.namespace, coordinates, [present[one] for one in coordinates], moment
        )
        return dict(zip(coordinates, then, strict=True))

    async def _states(
        self, namespace: str, coordinates: Sequence[Coordinate]
    ) -> dict[Coordinate, MemoryState]:
        states = await self._truth.memories(namespace, coordinates)
        return dict(zip(coordinates, states, strict=True))


def _living(
    question: Question,
    page: Sequence[tuple[float, Hit]],
    states: Mapping[Coordinate, MemoryState | None],
    now: datetime,
) -> list[Living]:
    """Return what lives, or lived at the time that a question is about, and is of its type."""
    wanted = question.query
    found: list[Living] = []
    for relevance, hit in page:
        state = states[hit.coordinate]
        record = None if state is None else state.record
        if state is None or record is None or not record.alive(wanted.as_of or now):
            continue
        if wanted.type in {None, record.type}:
            found.append(Living(relevance, hit, state.version, record))
    return found


async def _embed(questions: Sequence[Question], index: Index) -> list[NDArray[np.float32] | None]:
    wanted = [at for at, each in enumerate(questions) if "dense" in each.query.arms]
    found: list[NDArray[np.float32] | None] = [None] * len(questions)
    if wanted:
        vectors = await index.embedder.embed([_cue(questions[at].query) for at in wanted])
        for row, at in enumerate(wanted):
            found[at] = vectors[row]
    return found


def _vector_query(
    question: Question, vector: NDArray[np.float32] | None, terms: dict[str, float] | None
) -> VectorQuery:
    query = question.query
    # The index knows the present; what was to pass then may not now.
    now = query.as_of is None
    return VectorQuery(
        namespace=question.namespace,
        limit=question.limit,
        vector=vector,
        terms=terms,
        type=query.type if now else None,
        filter=query.filter if now else None,
    )


def _filling(
    questions: Sequence[Question], words: WordIndex | None
) -> list[dict[str, float] | None]:
    if words is None:
        return [None] * len(questions)
    return [_terms(each.query, words.analyzer) for each in questions]


def _terms(query: RecallQuery, analyzer: Analyzer) -> dict[str, float] | None:
    if "keyword" not in query.arms:
        return None
    terms = analyzer.terms(query.text)
    if query.context:
        add_terms(terms, analyzer.terms(query.context), CONTEXT_WEIGHT)
    return terms


def _cue(query: RecallQuery) -> str:
    return f"{query.text}\n{query.context}" if query.context else query.text
