"""Telling why a memory is not among the answers to a question."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from math import inf

from sfm_core.engine.past import Past
from sfm_core.engine.questions import Question
from sfm_core.engine.ranking import Score, score
from sfm_core.engine.recall import Recalling
from sfm_core.engine.searching import Searching
from sfm_core.engine.stores import Stores
from sfm_core.engine.truth import MemoryState, Truth
from sfm_core.engine.view import View
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.filter_forms import failing_part, filter_json
from sfm_core.model.query import RecallQuery
from sfm_core.model.record import MemoryRecord
from sfm_core.model.why_not import WhyNot, WhyNotReason

WIDE = 5_000
"""Hits asked of each arm to find a memory that is not among the usual candidates."""


class Explaining:
    """Looks for one memory on every step from the truth to the answer."""

    def __init__(
        self, stores: Stores, truth: Truth, searching: Searching, recalling: Recalling
    ) -> None:
        """Explain what `recalling` answers by means of `searching`."""
        self._stores = stores
        self._truth = truth
        self._searching = searching
        self._recalling = recalling
        self._past = Past(stores, truth)

    async def why_not(self, namespace: str, query: RecallQuery, coordinate: Coordinate) -> WhyNot:
        """Tell what becomes of one memory; see `MemoryEngine.why_not`."""
        self._recalling.check(namespace, query)
        [present] = await self._truth.memories(namespace, [coordinate])
        now = self._stores.clock.now()
        state = present
        if query.as_of is not None:
            [then] = await self._past.told(namespace, [coordinate], [present], query.as_of)
            if then is None:
                return WhyNot(reason=WhyNotReason.HISTORY_GONE, detail=_HISTORY_GONE)
            state = then
            if state.record is None:
                return WhyNot(reason=WhyNotReason.ABSENT, detail="There was no memory then.")
        record = state.record
        if record is None or present.record is None or not present.record.alive(now):
            # Also of one that was there then: what is searched is what is there now.
            return _gone(present, now)
        unwanted = self._unwanted(namespace, query, coordinate, record)
        if unwanted is not None:
            return replace(unwanted, version=state.version)
        view = await self._searching.view()
        indexed = await self._indexed_version(view, namespace, coordinate)
        told = await self._by_rank(view, namespace, query, coordinate, record)
        if indexed is None and told.place is None:
            told = WhyNot(reason=WhyNotReason.NOT_INDEXED, detail=_NOT_INDEXED)
        elif indexed is not None and indexed != present.version:
            told = replace(told, detail=f"{told.detail} The index still has version {indexed}.")
        return replace(told, version=state.version, indexed_version=indexed)

    def _unwanted(
        self, namespace: str, query: RecallQuery, coordinate: Coordinate, record: MemoryRecord
    ) -> WhyNot | None:
        if query.type is not None and record.type is not query.type:
            return WhyNot(
                reason=WhyNotReason.TYPE, detail=f"It is {record.type}, not {query.type}."
            )
        if query.filter is None:
            return None
        payload = self._truth.payload(namespace, coordinate, record)
        part = failing_part(query.filter, payload)
        if part is None:
            return None
        return WhyNot(
            reason=WhyNotReason.FILTER,
            detail="Its payload does not meet a condition of the filter.",
            condition=filter_json(part),
        )

    async def _indexed_version(
        self, view: View, namespace: str, coordinate: Coordinate
    ) -> int | None:
        found = await self._stores.vector.scroll(
            view.searched.collection, namespace, after=coordinate.before(), limit=1
        )
        return found[0].version if found and found[0].id.coordinate == coordinate else None

    async def _by_rank(
        self,
        view: View,
        namespace: str,
        query: RecallQuery,
        coordinate: Coordinate,
        record: MemoryRecord,
    ) -> WhyNot:
        question = replace(self._searching.question(namespace, query), max_bytes=inf)
        await self._searching.answer([question])
        answered = _place(question, coordinate)
        if answered is not None:
            return _at(answered, question, WhyNotReason.RETURNED, "It is among the answers.")
        if any(hit.coordinate == coordinate for _, hit in question.fused):
            return await self._among_candidates(question, coordinate)
        return await self._beyond_candidates(view, question, coordinate, record)

    async def _among_candidates(self, question: Question, coordinate: Coordinate) -> WhyNot:
        count = len(question.fused)
        everything = replace(question, query=replace(question.query, top_k=count))
        await self._searching.hydrate([everything])
        place = _place(everything, coordinate)
        if place is None:
            return WhyNot(reason=WhyNotReason.ABSENT, detail="It was deleted just now.")
        asked = question.query.top_k
        detail = f"It is at place {place} of {count} candidates, and {asked} were asked for."
        return _at(place, everything, WhyNotReason.TOP_K, detail)

    async def _beyond_candidates(
        self, view: View, question: Question, coordinate: Coordinate, record: MemoryRecord
    ) -> WhyNot:
        usual = question.limit
        wide = replace(question, limit=max(WIDE, usual))
        cues = await self._searching.cues(view, [wide])
        [result] = await self._searching.find(view, [wide], cues, [0])
        self._searching.rank(wide, result)
        for place, (relevance, hit) in enumerate(wide.fused, start=1):
            if hit.coordinate == coordinate:
                moment = question.query.as_of or self._stores.clock.now()
                return _ranked(
                    place,
                    score(record, relevance, hit, self._stores.settings.ranking, moment),
                    WhyNotReason.CANDIDATES,
                    f"No search had it among its best {usual}; by relevance its place is {place}.",
                )
        return WhyNot(
            reason=WhyNotReason.UNMATCHED,
            detail=f"No search had it among its best {wide.limit}: it shares no word with the "
            "query, or too many others are closer in meaning.",
        )


_HISTORY_GONE = "What is kept of its history does not tell what was there then."
_NOT_INDEXED = (
    "The index does not have it yet. What was written gets there by itself; if it does not, "
    "`sfm check --repair` sees to it."
)


def _gone(state: MemoryState, now: datetime) -> WhyNot:
    record = state.record
    if record is None:
        return WhyNot(reason=WhyNotReason.ABSENT, detail="There is no memory.")
    if record.deleted:
        since = record.updated_at.isoformat(timespec="seconds")
        return WhyNot(
            reason=WhyNotReason.DELETED,
            detail=f"It was deleted at {since}.",
            version=state.version,
        )
    ended = (record.expires_at or now).isoformat(timespec="seconds")
    return WhyNot(
        reason=WhyNotReason.EXPIRED, detail=f"It expired at {ended}.", version=state.version
    )


def _place(question: Question, coordinate: Coordinate) -> int | None:
    places = (at for at, one in enumerate(question.best, 1) if one.coordinate == coordinate)
    return next(places, None)


def _at(place: int, question: Question, reason: WhyNotReason, detail: str) -> WhyNot:
    return _ranked(place, question.best[place - 1].score, reason, detail)


def _ranked(place: int, scored: Score, reason: WhyNotReason, detail: str) -> WhyNot:
    return WhyNot(reason=reason, detail=detail, place=place, score=scored.total, parts=scored.parts)
