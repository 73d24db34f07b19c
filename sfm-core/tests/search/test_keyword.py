"""The inverted index against BM25 written out."""

from __future__ import annotations

import random
from math import log

import numpy as np
import pytest

from sfm_core.search.keyword import K1, TYPICAL_LENGTH, B, KeywordIndex, best

Document = dict[str, float]


def documents(count: int, *, seed: int = 1) -> list[Document]:
    source = random.Random(seed)
    words = [f"w{number}" for number in range(60)]
    return [
        {
            word: source.choice([0.5, 1.0, 2.0])
            for word in source.sample(words, source.randint(0, 9))
        }
        for _ in range(count)
    ]


def expected(living: dict[int, Document], query: Document, slots: int) -> list[float]:
    scores = [0.0] * slots
    lengths = {slot: sum(document.values()) for slot, document in living.items()}
    for term, weight in query.items():
        having = sum(term in document for document in living.values())
        rarity = log(1 + (len(living) - having + 0.5) / (having + 0.5))
        for slot, document in living.items():
            frequency = document.get(term, 0.0)
            norm = K1 * (1 - B + B * lengths[slot] / TYPICAL_LENGTH)
            scores[slot] += weight * rarity * frequency * (K1 + 1) / (frequency + norm)
    return scores


QUERY = {"w1": 1.0, "w2": 2.0, "w3": 0.5, "unknown": 1.0}


@pytest.mark.parametrize("batch", [1, 700, 3000])
def test_scores_are_those_of_bm25(batch: int) -> None:
    given = documents(5000)
    index = KeywordIndex()
    for start in range(0, len(given), batch):
        index.add_many(given[start : start + batch])
    np.testing.assert_allclose(
        index.scores(QUERY), expected(dict(enumerate(given)), QUERY, len(given)), rtol=1e-4
    )


def test_a_removed_slot_is_gone_from_results_and_statistics() -> None:
    given = documents(3000)
    index = KeywordIndex()
    index.add_many(given[:2500])
    index.add_many(given[2500:])
    gone = set(random.Random(3).sample(range(3000), 1500))
    for slot in gone:
        index.remove(slot)
        index.remove(slot)
    living = {slot: document for slot, document in enumerate(given) if slot not in gone}
    np.testing.assert_allclose(
        index.scores(QUERY), expected(living, QUERY, 3000), rtol=1e-4, atol=1e-6
    )


def test_state_makes_an_equal_index() -> None:
    index = KeywordIndex()
    index.add_many(documents(3000))
    for slot in range(0, 3000, 7):
        index.remove(slot)
    again = KeywordIndex(index.state())
    np.testing.assert_allclose(again.scores(QUERY), index.scores(QUERY), rtol=1e-5)


def test_weights_of_zero_and_below_do_not_count() -> None:
    index = KeywordIndex()
    index.add_many([{"a": 0.0, "b": 1.0}, {"a": -1.0}])
    assert not index.scores({"a": 1.0}).any()
    assert not index.scores({"b": 0.0}).any()


def test_an_index_without_a_term_answers_nothing() -> None:
    index = KeywordIndex()
    index.add_many([{}, {}])
    assert not index.scores({"a": 1.0}).any()


def test_best_are_the_highest_in_order_among_the_allowed() -> None:
    scores = np.array([0.0, 3.0, 1.0, 2.0, 3.0], np.float32)
    allowed = np.array([True, False, True, True, True])
    assert best(scores, 3).tolist() == [1, 4, 3]
    assert best(scores, 9).tolist() == [1, 4, 3, 2]
    assert best(scores, 2, allowed=allowed).tolist() == [4, 3]
