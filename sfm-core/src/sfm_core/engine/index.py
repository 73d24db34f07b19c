"""An index: a collection, and what its vectors and terms are made with."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sfm_core.engine.catalog import CollectionRecord, Role
from sfm_core.protocols.embedder import Embedder, Fingerprint
from sfm_core.protocols.vector import Collection
from sfm_core.text.analysis import Analyzer
from sfm_core.text.composing import TextRule

_QUERY: Final = re.compile(r"[?#]")


@dataclass(frozen=True, slots=True)
class Index:
    """A collection with everything that is needed to fill and to search it.

    Attributes:
        collection: Where its points are.
        url: The URL that chose its embedder.
        embedder: What makes its vectors.
        rule: How text is drawn from payloads for it.
        analyzer: What makes its terms of text.
    """

    collection: Collection
    url: str
    embedder: Embedder
    rule: TextRule
    analyzer: Analyzer

    @property
    def name(self) -> str:
        """The name of its collection."""
        return self.collection.name

    def record(self, role: Role, now: datetime) -> CollectionRecord:
        """Return how the truth knows it when it is new."""
        return CollectionRecord(
            name=self.name,
            dimension=self.collection.dimension,
            embedder=without_credentials(self.url),
            rule=self.rule,
            role=role,
            since=now,
        )


@dataclass(frozen=True, slots=True)
class WordIndex:
    """A collection of which only the keyword arm is searched.

    Attributes:
        collection: Where its points are.
        analyzer: What makes terms of a question.
    """

    collection: Collection
    analyzer: Analyzer


def index_for(url: str, embedder: Embedder, rule: TextRule) -> Index:
    """Make the index of an embedder and a text rule.

    Another embedder or another rule means another collection, so vectors and
    words that cannot be compared never meet.

    Args:
        url: The URL that chose the embedder.
        embedder: The embedder.
        rule: The text rule.

    Returns:
        The index.

    Raises:
        ConfigurationError: There is no stemmer for the rule's language.
    """
    return Index(
        collection=collection_for(embedder.fingerprint, rule),
        url=url,
        embedder=embedder,
        rule=rule,
        analyzer=Analyzer(rule.language),
    )


def collection_for(fingerprint: Fingerprint, rule: TextRule) -> Collection:
    """Name the collection whose points fit an embedder and a text rule."""
    digest = hashlib.sha256(f"{fingerprint.digest}/{rule.fingerprint}".encode()).hexdigest()
    return Collection(name=f"memories_{digest[:16]}", dimension=fingerprint.dimension)


def without_credentials(url: str) -> str:
    """Return a URL without the user and the password it may carry."""
    # Not taken apart as a URL: not every one that a backend takes has a host after two slashes,
    # and a password may hold what stands for the end of one.
    query = _QUERY.search(url)
    end = query.start() if query else len(url)
    begin, at, place = url[:end].rpartition("@")
    slashes = "//" if "://" in begin else ""
    return f"{begin.partition(':')[0]}:{slashes}{place}{url[end:]}" if at else url
