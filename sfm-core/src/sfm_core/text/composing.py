"""Which text of a payload is searched, and what the memories before it lend to it.

The rule, with its defaults:

- Text is what the *values* of a payload say: strings and numbers at any depth,
  never keys or punctuation of JSON. A timestamp says its date in words. Data
  that no one can read (Base64, lists of numbers) says nothing.
- A payload with a speaker and a text of its own is a *turn* of a conversation.
- A vector is made of the turn alone, as "speaker: text"; of any other payload,
  it is made of all its text except links, identifiers and dates.
- Keywords are all text of the payload, and, in an episode, the text of the two
  memories before it, which count a half and a quarter. A memory that follows a
  question answers it, so the question counts in full. Who spoke there and when
  is not lent.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sfm_core.model.payload import JsonValue, Payload
from sfm_core.text.analysis import ANALYZER_VERSION, Analyzer, add_terms

_COMPOSER_VERSION = 1

_MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)

_TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\d)(?:[T ]\d\d:\d\d[0-9:.,]*\s?(?:Z|[+-]\d\d:?\d\d)?)?")
_LINK = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?://)?([^\s?#]*)\S*")
_LINK_SCHEMES = ("http:", "https:", "ftp:", "file:", "s3:", "gs:", "data:")
_IDENTIFIER = re.compile(r"(?=[^\s]*\d)[A-Za-z0-9_+/=.-]{20,}")
_QUESTION_MARKS = frozenset("?\uff1f\u061f\u037e")

_MAX_SPEAKER_CHARACTERS = 100
_MAX_IDENTIFIER_CHARACTERS = 100
_MAX_NUMBERS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRule:
    """Which words of a payload are searched, and what the memories before it lend.

    Changing a value changes the fingerprint, so that everything is indexed anew.

    Attributes:
        speaker_keys: Keys, looked for in this order, that say who speaks.
        text_keys: Keys, looked for in this order, that hold what is said.
        ignored_keys: Keys whose values are not searched, at any depth.
        context_weights: What words of the memories before it in its episode
            count, the nearest first. Empty turns context off.
        answer_weight: What the words of the memory just before count when it
            asks a question.
        max_characters: Text of one payload that is searched; the rest is kept,
            but not found by its words.
        language: Snowball stemmer for the keywords.
    """

    speaker_keys: tuple[str, ...] = ("speaker", "role", "sender", "author", "from")
    text_keys: tuple[str, ...] = ("text", "content", "message", "utterance", "body")
    ignored_keys: frozenset[str] = frozenset()
    context_weights: tuple[float, ...] = (0.5, 0.25)
    answer_weight: float = 1.0
    max_characters: int = 20_000
    language: str = "english"

    @property
    def fingerprint(self) -> str:
        """Twelve hexadecimal digits that stand for this rule in names."""
        parts = (
            _COMPOSER_VERSION,
            self.speaker_keys,
            self.text_keys,
            tuple(sorted(self.ignored_keys)),
            self.context_weights,
            self.answer_weight,
            self.max_characters,
            self.language,
            ANALYZER_VERSION,
        )
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


DEFAULT_RULE = TextRule()
"""The rule that the recall figures of the project were measured with."""


def conversation_turn(payload: Payload, rule: TextRule = DEFAULT_RULE) -> bool:
    """Tell whether a payload is a turn of a conversation.

    Args:
        payload: Any payload.
        rule: Which keys say who speaks and what.

    Returns:
        Whether it has a speaker and a text. If so, the engine may take its
        episode from its coordinate.
    """
    return bool(_speaker(payload, rule) and _said(payload, rule))


def own_text(payload: Payload, rule: TextRule = DEFAULT_RULE) -> str:
    """Return the text that the vector of a memory is made of.

    Args:
        payload: Its payload.
        rule: How text is drawn from it.

    Returns:
        "speaker: text" for a turn, otherwise all readable text; empty when
        there is none.
    """
    speaker, said = _speaker(payload, rule), _said(payload, rule)
    if speaker and said:
        return f"{speaker}: {said}"[: rule.max_characters]
    pieces = list(_pieces(payload, rule))
    readable = [piece for piece in pieces if not _only_for_keywords(piece)]
    return " ".join(readable or pieces)[: rule.max_characters]


def keyword_terms(
    payload: Payload,
    preceding: Sequence[Payload],
    rule: TextRule,
    analyzer: Analyzer,
) -> dict[str, float]:
    """Return the index terms that a memory is found by.

    Args:
        payload: Its payload.
        preceding: The payloads before it in its episode, the nearest first; at
            most as many as `rule.context_weights` are looked at. Empty for a
            memory without an episode.
        rule: How text is drawn from payloads.
        analyzer: What makes terms of text.

    Returns:
        Each term with its weighted frequency; empty when there is no text.
    """
    terms = analyzer.terms(_whole_text(payload, rule))
    for place, (before, weight) in enumerate(
        zip(preceding, rule.context_weights, strict=False),
    ):
        lent = _lent_text(before, rule)
        asked = place == 0 and not _QUESTION_MARKS.isdisjoint(lent)
        add_terms(terms, analyzer.terms(lent), rule.answer_weight if asked else weight)
    return terms


def _whole_text(payload: Payload, rule: TextRule) -> str:
    pieces = (_in_words(piece) for piece in _pieces(payload, rule))
    return "\n".join(_up_to(rule.max_characters, pieces))


def _lent_text(payload: Payload, rule: TextRule) -> str:
    speaker = _speaker_key(payload, rule) if conversation_turn(payload, rule) else None
    values = {key: value for key, value in payload.items() if key != speaker}
    pieces = (piece for piece in _pieces(values, rule) if not _TIMESTAMP.fullmatch(piece))
    return "\n".join(_up_to(rule.max_characters, map(_in_words, pieces)))


def _speaker_key(payload: Payload, rule: TextRule) -> str | None:
    for key in rule.speaker_keys:
        value = payload.get(key)
        if isinstance(value, str) and 0 < len(value.strip()) <= _MAX_SPEAKER_CHARACTERS:
            return key
    return None


def _speaker(payload: Payload, rule: TextRule) -> str:
    key = _speaker_key(payload, rule)
    return str(payload[key]).strip() if key is not None else ""


def _said(payload: Payload, rule: TextRule) -> str:
    for key in rule.text_keys:
        if key in payload and key not in rule.ignored_keys:
            said = " ".join(_pieces(payload[key], rule))
            if said:
                return said
    return ""


def _pieces(value: JsonValue, rule: TextRule) -> Iterator[str]:
    """Go through what the values say, in order, without what no one can read."""
    if isinstance(value, str | int | float):
        piece = _scalar(value, rule)
        if piece:
            yield piece
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key not in rule.ignored_keys:
                yield from _pieces(item, rule)
    elif value is not None and not _numeric_array(value):
        for item in value:
            yield from _pieces(item, rule)


def _scalar(value: str | float, rule: TextRule) -> str:
    if isinstance(value, str):
        piece = value[: rule.max_characters].strip()
        return "" if _unreadable(piece) else piece
    return "" if isinstance(value, bool) else str(value)


def _up_to(limit: int, pieces: Iterator[str]) -> Iterator[str]:
    left = limit
    for piece in pieces:
        if left <= 0:
            return
        yield piece[:left]
        left -= len(piece) + 1


def _in_words(piece: str) -> str:
    """Say a timestamp as people do, and of a link only where it leads."""
    if match := _TIMESTAMP.fullmatch(piece):
        return _date_in_words(match[1]) or piece
    if _is_link(piece) and (link := _LINK.fullmatch(piece)):
        return str(link[1])
    return piece


def _date_in_words(text: str) -> str:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return ""
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"


def _is_link(piece: str) -> bool:
    return piece.lower().startswith(_LINK_SCHEMES) and " " not in piece


def _only_for_keywords(piece: str) -> bool:
    return bool(
        _is_link(piece) or _TIMESTAMP.fullmatch(piece) or _IDENTIFIER.fullmatch(piece),
    )


def _unreadable(piece: str) -> bool:
    if piece.startswith("data:"):
        return True
    return len(piece) > _MAX_IDENTIFIER_CHARACTERS and bool(_IDENTIFIER.fullmatch(piece))


def _numeric_array(values: Sequence[JsonValue]) -> bool:
    return len(values) > _MAX_NUMBERS and all(
        isinstance(value, int | float) for value in values[: _MAX_NUMBERS + 1]
    )
