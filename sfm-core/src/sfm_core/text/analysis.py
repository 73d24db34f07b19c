"""From text to index terms: what makes two words count as the same."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from itertools import groupby, pairwise
from typing import Protocol, cast

import Stemmer

from sfm_core.errors import ConfigurationError
from sfm_core.text.english import BASE_FORMS, NUMBER_WORDS, STOP_WORDS

ANALYZER_VERSION = 1
"""Grows when the same text gives other terms than before: what was indexed with
another version cannot be searched with this one."""

MAX_TERM_CHARACTERS = 64
"""A longer run of letters and digits is encoded data, not a word anyone asks for."""

_WORD_CACHE_SIZE = 65_536

_UUID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}(?![^\W_])"
_LETTER = r"[^\W_]"

# Written without spaces: Han, Kana, Thai, Lao, Burmese, Khmer; and Hangul, whose particles
# are joined to the word before them.
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff"
    "\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_UNSPACED_RUN = re.compile(f"[{_UNSPACED}]+")

_OPTIONAL_MARKS = re.compile("[\u0300-\u036f\u0591-\u05bd\u05bf\u05c1\u05c2\u064b-\u065f\u0670]")
"""Accents, and the vowel points of Hebrew and Arabic: texts have them, questions often do not."""

_PUNCTUATION = str.maketrans("\u2018\u2019\u02bc\u201c\u201d\u2013\u2014\u2026", "'''\"\"---")
"""Typographic signs of otherwise plain text, which then takes the short way."""

_ENCLITIC = re.compile(r"'(?:s|d|ll|m|re|ve)$")


class _StemmingLibrary(Protocol):
    def algorithms(self) -> list[str]: ...

    def Stemmer(self, language: str) -> _WordStemmer: ...  # noqa: N802 - the library's name


class _WordStemmer(Protocol):
    def stemWord(self, word: str) -> str: ...  # noqa: N802 - the library's name


_stemming = cast(_StemmingLibrary, Stemmer)


class Analyzer:
    """Turns text into index terms: lower case, without accents, stemmed.

    Scripts that do not put spaces between words are indexed by characters and
    pairs of characters. Safe to share between threads.
    """

    __slots__ = ("_knows_english", "_normal_form", "_stem")

    def __init__(self, language: str = "english") -> None:
        """Prepare for texts that are mostly in one language.

        Args:
            language: Name of a Snowball stemmer. Words of other languages are
                still found by the form in which they were written.

        Raises:
            ConfigurationError: There is no stemmer of that name.
        """
        if language not in _stemming.algorithms():
            raise ConfigurationError(
                f"There is no stemmer for the language {language!r}.",
                setting="language",
                remedy=f"Use one of: {', '.join(sorted(_stemming.algorithms()))}.",
            )
        self._stem = _stemming.Stemmer(language).stemWord
        self._knows_english = language == "english"
        self._normal_form = lru_cache(_WORD_CACHE_SIZE)(self._find_normal_form)

    def terms(self, text: str) -> dict[str, float]:
        """Return the index terms of a text.

        Args:
            text: Any text. Of a long one, the caller decides how much counts.

        Returns:
            Each term with the number of its occurrences, in order of first
            occurrence; empty where the text has neither letters nor digits.
            Stop words are left out unless there is nothing else.
        """
        counts: dict[str, float] = {}
        skipped: dict[str, float] = {}
        for word in _words(_fold(text)):
            term, meaningful = self._normal_form(word)
            kept = counts if meaningful else skipped
            kept[term] = kept.get(term, 0.0) + 1.0
        return counts or skipped

    def _find_normal_form(self, word: str) -> tuple[str, bool]:
        if "'" in word:
            word = _ENCLITIC.sub("", word).replace("'", "")
        if not self._knows_english:
            return self._stem(word), True
        meaningful = word not in STOP_WORDS
        return self._stem(BASE_FORMS.get(word) or NUMBER_WORDS.get(word) or word), meaningful


def add_terms(to: dict[str, float], terms: Mapping[str, float], weight: float = 1.0) -> None:
    """Add terms to others, so that a term counts by where it stands.

    Args:
        to: Changed in place.
        terms: What is added.
        weight: What one occurrence counts.
    """
    for term, count in terms.items():
        to[term] = to.get(term, 0.0) + weight * count


def _fold(text: str) -> str:
    """Take away differences of form that do not make another word."""
    if not text.isascii():
        text = text.translate(_PUNCTUATION)
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text).casefold()
    return unicodedata.normalize("NFKC", _OPTIONAL_MARKS.sub("", folded))


def _words(text: str) -> Iterable[str]:
    ascii_only = text.isascii()
    words = _word_pattern(marks=not ascii_only).findall(text)
    if ascii_only or not _UNSPACED_RUN.search(text):
        return (word for word in words if len(word) <= MAX_TERM_CHARACTERS)
    return (part for word in words for part in _unspaced_words(word))


def _unspaced_words(word: str) -> Iterator[str]:
    end = 0
    for match in _UNSPACED_RUN.finditer(word):
        if end < match.start():
            yield word[end : match.start()][:MAX_TERM_CHARACTERS]
        run: str = match.group()
        yield from run
        yield from map("".join, pairwise(run))
        end = match.end()
    if end < len(word):
        yield word[end:][:MAX_TERM_CHARACTERS]


@cache
def _word_pattern(*, marks: bool) -> re.Pattern[str]:
    """Make the pattern of a word; with marks, the vowel signs of Indic scripts are part of it."""
    letter = f"(?:{_LETTER}|[{_mark_ranges()}])" if marks else _LETTER
    return re.compile(f"{_UUID}|{letter}+(?:'{letter}+)*")


def _mark_ranges() -> str:
    # `re` knows no character categories. Beyond this point lie only scripts of the past, and
    # looking through them all would take longer than opening the memory does.
    marks = [code for code in range(0x300, 0x11A00) if unicodedata.category(chr(code))[0] == "M"]
    ranges: list[str] = []
    for _, group in groupby(enumerate(marks), key=lambda pair: pair[1] - pair[0]):
        run = [code for _, code in group]
        ranges.append(f"{chr(run[0])}-{chr(run[-1])}")
    return "".join(ranges)
