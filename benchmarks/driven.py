"""The work of a memory done by hand: drivers, embedder and vector store called directly."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.embedded import encoded
from benchmarks.raw_stores import RawStore
from sfm_core.engine.index import collection_for
from sfm_core.model.coordinate import Coordinate
from sfm_core.model.memory import NewMemory
from sfm_core.protocols.embedder import Embedder
from sfm_core.protocols.vector import Collection, Point, PointId, VectorQuery, VectorStore
from sfm_core.settings import EngineSettings
from sfm_core.text.analysis import Analyzer
from sfm_core.text.composing import own_text


class Driven:
    """Stores as an engine does, and recalls from what an engine has stored."""

    def __init__(
        self,
        store: RawStore,
        embedder: Embedder,
        vectors: VectorStore,
        settings: EngineSettings,
    ) -> None:
        """Use what is open."""
        self._store = store
        self._embedder = embedder
        self._vectors = vectors
        self._settings = settings
        self._analyzer = Analyzer(settings.text.language)
        self._collection: Collection = collection_for(embedder.fingerprint, settings.text)

    async def prepare(self) -> None:
        """Make the collection."""
        await self._vectors.ensure(self._collection)

    async def store(self, memories: Sequence[NewMemory]) -> None:
        """Do what storing memories takes."""
        texts = [own_text(memory.payload, self._settings.text) for memory in memories]
        embedded = await self._embedder.embed(texts)
        await self._commit(memories)
        points = [
            Point(
                id=PointId(namespace="raw", coordinate=memory.coordinate),
                version=1,
                type=memory.type,
                payload=memory.payload,
                vector=vector,
                terms=self._analyzer.terms(text),
            )
            for memory, vector, text in zip(memories, embedded, texts, strict=True)
        ]
        await self._vectors.upsert(self._collection, points)
        await self._store.acknowledge(_keys(memories))

    async def keep(self, memories: Sequence[NewMemory]) -> None:
        """Store memories without an index, so that there are as many entries as an engine has."""
        await self._commit(memories)
        await self._store.acknowledge(_keys(memories))

    async def recall(self, namespace: str, text: str, *, read: int) -> None:
        """Do what a recall takes.

        Args:
            namespace: Whose memories.
            text: The question.
            read: How many of those found to read.
        """
        [vector] = await self._embedder.embed([text])
        query = VectorQuery(
            namespace=namespace,
            limit=self._settings.ranking.candidates,
            vector=vector,
            terms=self._analyzer.terms(text),
        )
        [found] = await self._vectors.search(self._collection, [query])
        await self._store.read([_key(hit.coordinate) for hit in found.hits[:read]])

    async def _commit(self, memories: Sequence[NewMemory]) -> None:
        rows = list(zip(_keys(memories), encoded(memories), strict=True))
        await self._store.read([key for key, _ in rows])
        await self._store.commit(rows)


def _keys(memories: Sequence[NewMemory]) -> list[bytes]:
    return [_key(memory.coordinate) for memory in memories]


def _key(coordinate: Coordinate) -> bytes:
    return str(coordinate).encode()
