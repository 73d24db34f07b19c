"""The filter language as conditions on the column `payload`, all of it.

Paths are JSON paths in their lax form, which treats an array on the way as the
language does: it stands for its elements. What a value must be is compared in
SQL, because the comparisons of JSON paths look into arrays once more.

`jsonb` cannot hold U+0000. So U+0000 to U+0003 are written as U+0001 and two of
U+0002 and U+0003. None of these then stands for itself, so texts are equal,
sort, and lie in one another as they did before.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from sfm_backend_postgres._packing import pack_texts
from sfm_core.model.filters import (
    AllOf,
    AnyOf,
    Compare,
    Comparison,
    Contains,
    Exists,
    Filter,
    Negation,
    OneOf,
)
from sfm_core.model.payload import JsonValue

_OPERATORS: Final = {
    Comparison.GT: ">",
    Comparison.GTE: ">=",
    Comparison.LT: "<",
    Comparison.LTE: "<=",
}
# More would be compared one after the other.
_FEW: Final = 16
_LOW: Final = re.compile("[\0-\3]")
_ESCAPES: Final = {0: "\1\2\2", 1: "\1\2\3", 2: "\1\3\2", 3: "\1\3\3"}
# Floats from here on are written with fewer digits than they have, whole numbers are not.
_ROUNDED: Final = 2.0**53
_WHOLE: Final = 2.0**64


def encode_json(value: JsonValue) -> str:
    """Write a value so that `jsonb` holds it, and equal numbers are equal there."""
    return msgspec.json.encode(_canonical(value)).decode()


class Condition:
    """A filter as SQL.

    Attributes:
        sql: A condition on the table `sfm.point`.
        parameters: Its parameters by name.
    """

    def __init__(self, wanted: Filter) -> None:
        """Translate a parsed filter."""
        self.parameters: dict[str, object] = {}
        self.sql = self._translate(wanted)

    def _translate(self, wanted: Filter) -> str:
        match wanted:
            case AllOf(parts):
                return f"({' AND '.join(map(self._translate, parts)) or 'true'})"
            case AnyOf(parts):
                return f"({' OR '.join(map(self._translate, parts)) or 'false'})"
            case Negation(part):
                return f"(NOT {self._translate(part)})"
            case Exists(path):
                return f"jsonb_path_exists(point.payload, {self._path(path)})"
            case _:
                return self._some_value(wanted)

    def _some_value(self, leaf: Compare | Contains | OneOf) -> str:
        exact = self._exactly(leaf)
        hint = _hint(leaf)
        if hint is None:
            return exact
        # It looks into arrays too deep, but tells at little cost where there is nothing.
        return f"(point.payload @? {self._path(leaf.path, hint)} AND {exact})"

    def _exactly(self, leaf: Compare | Contains | OneOf) -> str:
        path = self._path(leaf.path)
        elements = self._path(leaf.path, "[*]")
        # Paths and values are parameters; what is put together are their names.
        return (
            "EXISTS (SELECT FROM ("  # nosec B608
            f"SELECT jsonb_path_query(point.payload, {path}) AS value UNION ALL "
            f"SELECT jsonb_path_query(point.payload, {elements})) AS found "
            f"WHERE {self._condition(leaf)})"
        )

    def _condition(self, leaf: Compare | Contains | OneOf) -> str:
        match leaf:
            case OneOf(operands=operands):
                return f"found.value = ANY({self._values(operands)})"
            case Compare(comparison=comparison, operand=str(operand)):
                text = self._keep(_escaped(operand))
                return _if_text(f'{_TEXT} {_OPERATORS[comparison]} {text}::text COLLATE "C"')
            case Compare(comparison=comparison, operand=operand):
                number = f"({self._keep(encode_json(operand))}::text)::numeric"
                return (
                    "CASE WHEN jsonb_typeof(found.value) = 'number' THEN "
                    f"found.value::numeric {_OPERATORS[comparison]} {number} END"
                )
            case Contains(operand=operand):
                return self._contains(operand)

    def _contains(self, operand: JsonValue) -> str:
        held = (
            "CASE WHEN jsonb_typeof(found.value) = 'array' THEN EXISTS (SELECT FROM "  # nosec B608
            "jsonb_array_elements(found.value) AS element "
            f"WHERE element = ANY({self._values((operand,))})) END"
        )
        if not isinstance(operand, str):
            return held
        text = self._keep(_escaped(operand))
        inside = _if_text(f"strpos({_TEXT}, {text}::text) > 0")
        return f"(({held}) OR ({inside}))"

    def _values(self, operands: Sequence[JsonValue]) -> str:
        packed = pack_texts([encode_json(operand) for operand in operands])
        return f"{self._keep(packed)}::text[]::jsonb[]"

    def _path(self, path: str, end: str = "") -> str:
        steps = "".join(f".{encode_json(step)}" for step in path.split("."))
        return f"{self._keep(f'lax ${steps}{end}')}::text::jsonpath"

    def _keep(self, value: object) -> str:
        name = f"filter_{len(self.parameters)}"
        self.parameters[name] = value
        return f"%({name})s"


def _hint(leaf: Compare | Contains | OneOf) -> str | None:
    """Return the end of a JSON path that leads somewhere wherever the condition holds."""
    match leaf:
        case OneOf(operands=operands) if len(operands) <= _FEW and all(map(_is_scalar, operands)):
            return f" ? ({' || '.join(f'@ == {encode_json(operand)}' for operand in operands)})"
        case Compare(comparison=comparison, operand=int(operand) | float(operand)):
            return f" ? (@ {_OPERATORS[comparison]} {encode_json(operand)})"
        case _:
            return None


def _is_scalar(value: JsonValue) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


_TEXT: Final = """(found.value #>> '{}') COLLATE "C\""""


def _if_text(condition: str) -> str:
    return f"CASE WHEN jsonb_typeof(found.value) = 'string' THEN {condition} END"


def _escaped(text: str) -> str:
    return text.translate(_ESCAPES) if _LOW.search(text) else text


def _canonical(value: JsonValue) -> JsonValue:
    if isinstance(value, str):
        return _escaped(value)
    if isinstance(value, float) and _ROUNDED <= abs(value) <= _WHOLE:
        return int(value)
    if isinstance(value, Mapping):
        return {_escaped(key): _canonical(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_canonical(item) for item in value]
    return value
