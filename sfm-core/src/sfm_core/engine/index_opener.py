"""Opening the indexes that a truth has collections of."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AsyncExitStack

from sfm_core.engine.catalog import CollectionRecord
from sfm_core.engine.index import Index, WordIndex, index_for
from sfm_core.errors import BackendError, ConfigurationError, SfmError
from sfm_core.protocols.embedder import Embedder
from sfm_core.text.analysis import Analyzer

log = logging.getLogger(__name__)


class IndexOpener:
    """Opens embedders by the URLs that the truth has noted, each once."""

    def __init__(
        self, stack: AsyncExitStack, make: Callable[[str], Embedder], chosen: Index
    ) -> None:
        """Know the chosen index, and open others as they are asked for.

        Args:
            stack: Closes what is opened.
            make: Makes the embedder that a URL chooses.
            chosen: An index that is open already.
        """
        self._stack = stack
        self._make = make
        self._embedders = {chosen.url: chosen.embedder}
        self._opened = {chosen.name: chosen}
        self._analyzers = {chosen.rule.language: chosen.analyzer}
        self._failures: dict[str, SfmError] = {}

    def opened(self, name: str) -> Index | None:
        """Return an index that was opened before."""
        return self._opened.get(name)

    def failure(self, name: str) -> SfmError | None:
        """Return why an index could not be opened, if that is so."""
        return self._failures.get(name)

    def unusable(self, name: str) -> bool:
        """Tell whether an index cannot be had in this process, now or later."""
        failure = self._failures.get(name)
        return failure is not None and not isinstance(failure, BackendError)

    async def open(self, record: CollectionRecord) -> None:
        """Open an index, if it is not open and there is hope.

        Args:
            record: Its collection.
        """
        if record.name in self._opened or self.unusable(record.name):
            return
        try:
            index = await self._index(record)
        except SfmError as error:
            if record.name not in self._failures:
                log.warning(
                    "collection %s cannot be used here: %s: %s", record.name, error.code, error
                )
            self._failures[record.name] = error
        else:
            self._failures.pop(record.name, None)
            self._opened[record.name] = index

    def words(self, record: CollectionRecord) -> WordIndex | None:
        """Return what is needed to search a collection by words, which takes no embedder.

        Args:
            record: The collection.

        Returns:
            That; `None` where there is no stemmer for its language any more.
        """
        language = record.rule.language
        try:
            if language not in self._analyzers:
                self._analyzers[language] = Analyzer(language)
        except ConfigurationError:
            return None
        return WordIndex(record.collection, self._analyzers[language])

    async def _index(self, record: CollectionRecord) -> Index:
        embedder = await self._embedder(record.embedder)
        index = index_for(record.embedder, embedder, record.rule)
        if index.collection != record.collection:
            raise ConfigurationError(
                f"{record.embedder} makes other vectors or words than it did.",
                remedy="Nothing needs to be done: a new collection replaces this one.",
            )
        return index

    async def _embedder(self, url: str) -> Embedder:
        if url not in self._embedders:
            self._embedders[url] = await self._stack.enter_async_context(self._make(url))
        return self._embedders[url]
