"""The read path: from a question to memories that the truth vouches for."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

from sfm_core.engine.access import AccessRecorder
from sfm_core.engine.apart import MAX_BYTES_INLINE, inline_or_apart
from sfm_core.engine.coalescer import Coalescer
from sfm_core.engine.inputs import (
    check_batch,
    check_count,
    check_moment,
    check_namespace,
    check_text,
)
from sfm_core.engine.questions import Question
from sfm_core.engine.searching import Searching
from sfm_core.engine.stores import Stores
from sfm_core.errors import BackendError, InvalidInputError, LimitExceededError, SfmError
from sfm_core.model.query import ARMS, Recalled, RecallQuery

log = logging.getLogger(__name__)

MAX_BATCH = 64


class Recalling:
    """Answers questions. Concurrent questions share embedding, search and hydration."""

    def __init__(
        self,
        stores: Stores,
        searching: Searching,
        access: AccessRecorder,
    ) -> None:
        """Answer with `searching`; `access` counts."""
        self._stores = stores
        self._searching = searching
        self._access = access
        self._coalescer: Coalescer[tuple[str, RecallQuery], Question] = Coalescer(
            self._process,
            max_batch=MAX_BATCH,
            concurrency=2,
            name="recall",
            observer=stores.observer,
        )

    async def recall(self, namespace: str, query: RecallQuery) -> list[Recalled]:
        """Answer one query; see `MemoryEngine.recall`."""
        self.check(namespace, query)
        [answer] = await self.told([await self._coalescer.submit((namespace, query))])
        return answer

    async def recall_many(
        self, namespace: str, queries: Sequence[RecallQuery]
    ) -> list[list[Recalled]]:
        """Answer many queries; see `MemoryEngine.recall_many`."""
        self.check_many(namespace, queries)
        return await self.told(await self.questions(namespace, queries))

    async def questions(self, namespace: str, queries: Sequence[RecallQuery]) -> list[Question]:
        """Find what answers queries that were checked.

        Args:
            namespace: Where to look.
            queries: What to look for.

        Returns:
            A question for each, in order, with its `best`; `told` makes answers of them.

        Raises:
            BackendError: A backend failed.
        """
        return await self._coalescer.submit_all([(namespace, query) for query in queries])

    async def warm_up(self) -> None:
        """Have an embedder of this process load its model; see `MemoryEngine.warm_up`."""
        try:
            embedder = (await self._searching.view()).searched.embedder
            if not embedder.shared:
                await embedder.embed(["warm"])
        except SfmError as error:
            log.info("the model is not loaded: %s: %s", error.code, error)

    async def close(self) -> None:
        """Finish the questions in hand."""
        await self._coalescer.close()

    def check_many(self, namespace: str, queries: Sequence[RecallQuery]) -> None:
        """Refuse queries that cannot be answered together.

        Raises:
            InvalidInputError: One of them is empty, or names no arm.
            LimitExceededError: They are too many, or one is too long or asks for too much.
        """
        check_namespace(namespace)
        check_batch(queries, self._stores.settings.limits.max_batch, field="queries")
        for query in queries:
            self.check(namespace, query)

    def check(self, namespace: str, query: RecallQuery) -> None:
        """Refuse a query that cannot be answered.

        Raises:
            InvalidInputError: It is empty, or names no arm.
            LimitExceededError: It is too long or asks for too much.
        """
        limits = self._stores.settings.limits
        check_namespace(namespace)
        if query.as_of is not None:
            check_moment(query.as_of, field="as_of")
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
    ) -> Sequence[Question | BaseException]:
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

    async def _answer(self, batch: list[tuple[str, RecallQuery]]) -> list[Question]:
        questions = [self._searching.question(*each) for each in batch]
        await self._searching.answer(questions)
        return questions

    async def told(self, questions: Sequence[Question]) -> list[list[Recalled]]:
        """Return the answers to questions, and count that their memories were read as they are.

        Args:
            questions: What a call has asked, each with its `best`.

        Returns:
            One answer per question, in order.

        Raises:
            LimitExceededError: All of them together are larger than an answer may be.
            CorruptDataError: A payload cannot be read.
        """
        sizes = [len(one.record.payload) for question in questions for one in question.best]
        limit, size = self._stores.settings.limits.max_answer_bytes, sum(sizes)
        if size > limit and len(sizes) > 1:
            raise LimitExceededError(
                f"The memories found have {size} bytes of payloads, more than {limit}.",
                field="top_k",
                remedy="Ask fewer queries at once, or for a smaller top_k.",
            )
        for question in questions:
            if question.query.as_of is None:
                self._access.touch(question.namespace, [one.coordinate for one in question.best])
        return await inline_or_apart(
            partial(self._searching.recalled, questions), cost=size, limit=MAX_BYTES_INLINE
        )
