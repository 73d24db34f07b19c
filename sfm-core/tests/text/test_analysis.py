from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sfm_core.errors import ConfigurationError
from sfm_core.text.analysis import MAX_TERM_CHARACTERS, Analyzer, add_terms


@pytest.fixture(scope="module")
def analyzer() -> Analyzer:
    return Analyzer()


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("painting", "painted"),
        ("Caroline's", "caroline"),
        ("Caroline\u2019s", "CAROLINE"),
        ("went", "goes"),
        ("children", "child"),
        ("café", "cafe\u0301"),
        ("café", "CAFE"),
        ("two", "2"),
        ("\uff21\uff22\uff23", "abc"),
        ("Straße", "STRASSE"),
        ("\u0421\u041b\u041e\u0412\u041e", "\u0441\u043b\u043e\u0432\u043e"),
        ("\u0643\u0650\u062a\u064e\u0627\u0628", "\u0643\u062a\u0627\u0628"),
    ],
)
def test_two_forms_of_a_word_are_one_term(analyzer: Analyzer, one: str, other: str) -> None:
    assert analyzer.terms(one) == analyzer.terms(other)


def test_occurrences_are_counted(analyzer: Analyzer) -> None:
    assert analyzer.terms("dogs and more dogs; a cat") == {"dog": 2.0, "cat": 1.0}


def test_a_month_is_no_stop_word(analyzer: Analyzer) -> None:
    assert analyzer.terms("in May 2023") == {"may": 1.0, "2023": 1.0}


def test_a_text_of_stop_words_alone_keeps_them(analyzer: Analyzer) -> None:
    assert set(analyzer.terms("to be or not to be")) == {"to", "be", "or", "not"}


@pytest.mark.parametrize("text", ["", " \n\t", "?!… — 🙂", "___"])
def test_a_text_without_words_has_no_terms(analyzer: Analyzer, text: str) -> None:
    assert analyzer.terms(text) == {}


def test_a_word_inside_unspaced_text_is_found(analyzer: Analyzer) -> None:
    text = analyzer.terms("昨日、東京タワーに行きました。")

    assert set(analyzer.terms("東京")) <= set(text)


def test_a_single_character_of_unspaced_text_is_found(analyzer: Analyzer) -> None:
    assert set(analyzer.terms("猫")) <= set(analyzer.terms("我的猫很可爱"))


def test_spaced_words_beside_unspaced_ones_stay_whole(analyzer: Analyzer) -> None:
    assert "python3" in analyzer.terms("用Python3编程")


def test_vowel_signs_do_not_cut_a_word(analyzer: Analyzer) -> None:
    assert len(analyzer.terms("\u0939\u093f\u0928\u094d\u0926\u0940")) == 1


def test_an_identifier_is_one_term(analyzer: Analyzer) -> None:
    identifier = "123e4567-e89b-12d3-a456-426614174000"

    assert list(analyzer.terms(f"order {identifier.upper()} came")) == ["order", identifier, "come"]


def test_snake_case_is_several_words(analyzer: Analyzer) -> None:
    assert list(analyzer.terms("user_home_page")) == ["user", "home", "page"]


def test_a_run_too_long_for_a_word_is_left_out(analyzer: Analyzer) -> None:
    assert analyzer.terms("x" * (MAX_TERM_CHARACTERS + 1) + " word") == {"word": 1.0}


def test_another_language_is_stemmed_by_its_own_rules() -> None:
    german = Analyzer("german")

    assert german.terms("Häuser") == german.terms("Häusern")


def test_an_unknown_language_names_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match="english"):
        Analyzer("klingon")


def test_threads_share_an_analyzer(analyzer: Analyzer) -> None:
    texts = [f"running painters number {number} painted houses" for number in range(200)]

    with ThreadPoolExecutor(4) as pool:
        shared = list(pool.map(analyzer.terms, texts))

    assert shared == [Analyzer().terms(text) for text in texts]


def test_added_terms_count_by_their_weight() -> None:
    terms = {"dog": 1.0}

    add_terms(terms, {"dog": 2.0, "cat": 1.0}, 0.25)

    assert terms == {"dog": 1.5, "cat": 0.25}
