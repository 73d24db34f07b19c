from __future__ import annotations

from dataclasses import replace

import pytest

from sfm_core.model.payload import Payload
from sfm_core.text.analysis import Analyzer
from sfm_core.text.composing import (
    DEFAULT_RULE,
    TextRule,
    conversation_turn,
    keyword_terms,
    own_text,
)

QUESTION: Payload = {
    "speaker": "Ann",
    "text": "Any holiday plans?",
    "said_at": "2023-05-08T13:56:00",
}
STATEMENT: Payload = {
    "speaker": "Ann",
    "text": "Holiday is near.",
    "said_at": "2023-05-08T13:56:00",
}
ANSWER: Payload = {
    "speaker": "Bob",
    "text": "We sail to Crete.",
    "said_at": "2023-05-08T13:57:00Z",
    "image_caption": "a white boat",
}


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer()


def terms_of(
    analyzer: Analyzer, payload: Payload, *before: Payload, rule: TextRule = DEFAULT_RULE
) -> dict[str, float]:
    return keyword_terms(payload, before, rule, analyzer)


@pytest.mark.parametrize(
    "payload",
    [
        ANSWER,
        {"role": "user", "content": "hello"},
        {"role": "user", "content": [{"type": "text", "text": "hello"}]},
    ],
)
def test_a_speaker_with_a_text_is_a_turn(payload: Payload) -> None:
    assert conversation_turn(payload)


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"text": "Water boils at 100 degrees."},
        {"speaker": "Ann"},
        {"speaker": "", "text": "hello"},
        {"speaker": {"name": "Ann"}, "text": "hello"},
        {"speaker": "Ann", "text": "  "},
        {"speaker": "x" * 101, "text": "hello"},
    ],
)
def test_anything_else_is_no_turn(payload: Payload) -> None:
    assert not conversation_turn(payload)


def test_the_vector_of_a_turn_stays_on_who_says_what() -> None:
    assert own_text(ANSWER) == "Bob: We sail to Crete."


def test_the_vector_of_a_fact_has_all_its_values_but_no_keys() -> None:
    fact: Payload = {"topic": "physics", "facts": [{"claim": "Water boils", "celsius": 100}]}

    assert own_text(fact) == "physics Water boils 100"


def test_the_vector_leaves_out_what_has_no_meaning() -> None:
    fact: Payload = {
        "id": "123e4567-e89b-12d3-a456-426614174000",
        "when": "2023-05-08",
        "source": "https://example.org/water?page=2",
        "fact": "Water boils",
        "checked": True,
        "note": None,
    }

    assert own_text(fact) == "Water boils"


def test_a_payload_of_identifiers_alone_is_still_embedded() -> None:
    assert own_text({"when": "2023-05-08"}) == "2023-05-08"


@pytest.mark.parametrize("payload", [{}, {"a": None, "b": True, "c": [], "d": ""}])
def test_a_payload_without_text_gives_none(analyzer: Analyzer, payload: Payload) -> None:
    assert (own_text(payload), terms_of(analyzer, payload)) == ("", {})


@pytest.mark.parametrize(
    "noise",
    ["A1b2" * 60, "data:image/png;base64,AAAA", [0.25] * 300],
)
def test_encoded_data_says_nothing(analyzer: Analyzer, noise: str | list[float]) -> None:
    payload: Payload = {"noise": noise, "fact": "Water boils"}

    assert (own_text(payload), list(terms_of(analyzer, payload))) == (
        "Water boils",
        ["water", "boil"],
    )


def test_keywords_are_all_values_and_the_date_in_words(analyzer: Analyzer) -> None:
    assert set(terms_of(analyzer, ANSWER)) == {
        *("bob", "sail", "crete", "white", "boat"),
        *("8", "may", "2023"),
    }


def test_a_memory_is_found_by_its_identifier(analyzer: Analyzer) -> None:
    identifier = "123e4567-e89b-12d3-a456-426614174000"

    assert identifier in terms_of(analyzer, {"id": identifier, "fact": "Water boils"})


def test_a_link_is_found_by_where_it_leads(analyzer: Analyzer) -> None:
    link = terms_of(analyzer, {"source": "https://example.org/boiling-water?token=abc"})

    assert list(link) == ["exampl", "org", "boil", "water"]


def test_an_impossible_date_stays_as_it_is(analyzer: Analyzer) -> None:
    assert "99" in terms_of(analyzer, {"when": "2023-99-99"})


def test_a_question_counts_in_full_for_its_answer(analyzer: Analyzer) -> None:
    assert terms_of(analyzer, ANSWER, QUESTION)["holiday"] == 1.0


def test_a_statement_counts_half_for_what_follows(analyzer: Analyzer) -> None:
    assert terms_of(analyzer, ANSWER, STATEMENT)["holiday"] == 0.5


def test_the_turn_before_the_last_counts_a_quarter(analyzer: Analyzer) -> None:
    assert terms_of(analyzer, ANSWER, ANSWER, QUESTION)["holiday"] == 0.25


def test_more_turns_than_the_rule_weighs_are_ignored(analyzer: Analyzer) -> None:
    assert "holiday" not in terms_of(analyzer, ANSWER, ANSWER, ANSWER, QUESTION)


def test_neither_speaker_nor_date_are_lent(analyzer: Analyzer) -> None:
    payload: Payload = {"speaker": "Bob", "text": "We sail."}

    assert not {"ann", "2023", "may"} & set(terms_of(analyzer, payload, QUESTION))


def test_without_an_episode_nothing_is_lent(analyzer: Analyzer) -> None:
    assert terms_of(analyzer, ANSWER) == analyzer.terms(
        "Bob We sail to Crete. 8 may 2023 a white boat"
    )


def test_ignored_keys_are_ignored_at_any_depth(analyzer: Analyzer) -> None:
    rule = TextRule(ignored_keys=frozenset({"secret"}))
    payload: Payload = {"a": [{"secret": "hidden", "open": "shown"}]}

    assert (own_text(payload, rule), terms_of(analyzer, payload, rule=rule)) == (
        "shown",
        {"show": 1.0},
    )


def test_text_beyond_the_limit_is_not_searched(analyzer: Analyzer) -> None:
    rule = TextRule(max_characters=12)
    payload: Payload = {"a": "first", "b": "second", "c": "third"}

    assert (own_text(payload, rule), list(terms_of(analyzer, payload, rule=rule))) == (
        "first second",
        ["first", "second"],
    )


@pytest.mark.parametrize(
    "changed",
    [
        replace(DEFAULT_RULE, answer_weight=0.5),
        replace(DEFAULT_RULE, context_weights=()),
        replace(DEFAULT_RULE, language="german"),
        replace(DEFAULT_RULE, ignored_keys=frozenset({"id"})),
    ],
)
def test_another_rule_has_another_fingerprint(changed: TextRule) -> None:
    assert changed.fingerprint != DEFAULT_RULE.fingerprint


def test_the_fingerprint_is_the_same_in_every_process() -> None:
    rule = TextRule(ignored_keys=frozenset({"b", "a", "c"}))

    assert rule.fingerprint == TextRule(ignored_keys=frozenset({"c", "b", "a"})).fingerprint
