"""Whether everything that fits one schema of an OpenAPI document also fits another one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias, cast

Schema: TypeAlias = Mapping[str, object]

LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
EXACT = ("pattern", "format", "multipleOf", "uniqueItems")


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """A schema, and the document that its references lead into."""

    document: Schema
    schema: Schema

    @property
    def resolved(self) -> Side:
        """The schema itself, where this one only refers to it."""
        schema = self.schema
        while isinstance(reference := schema.get("$ref"), str):
            schema = self.document
            for part in reference.removeprefix("#/").split("/"):
                schema = cast(Schema, schema[part])
        return self.of(schema)

    def of(self, schema: Schema) -> Side:
        """Return another schema of the same document."""
        return Side(document=self.document, schema=schema)

    def inner(self, key: str) -> dict[str, Side]:
        """Return the schemas that lie under a key by name."""
        found = cast(Mapping[str, Schema], self.schema.get(key, {}))
        return {name: self.of(schema) for name, schema in found.items()}

    def listed(self, key: str) -> list[Side]:
        """Return the schemas that lie under a key in order."""
        return [self.of(schema) for schema in cast(Sequence[Schema], self.schema.get(key, ()))]

    def alternatives(self) -> list[Side]:
        """Return the schemas of which a value has to fit one."""
        resolved = self.resolved
        choices = [*resolved.listed("anyOf"), *resolved.listed("oneOf")]
        if choices:
            return [each for choice in choices for each in choice.alternatives()]
        types = resolved.schema.get("type")
        if isinstance(types, list):
            each_type = cast("list[object]", types)
            return [resolved.of({**resolved.schema, "type": one}) for one in each_type]
        return [resolved]


@dataclass(slots=True)
class Comparison:
    """Compares schemas before and after a change.

    What a request may hold must still fit afterwards. What an answer holds afterwards must have
    fitted before, save that objects may have more properties.

    Attributes:
        answers: Whether it is about answers, not requests.
    """

    answers: bool
    _seen: set[tuple[int, int]] = field(default_factory=set[tuple[int, int]])

    def breaks(self, before: Side, after: Side, place: str) -> Iterator[str]:
        """Tell where the rule is broken.

        Args:
            before: What was promised.
            after: What is there now.
            place: What to call it.

        Yields:
            A sentence for each break.
        """
        before, after = before.resolved, after.resolved
        pair = (id(before.schema), id(after.schema))
        if pair in self._seen:
            return
        # Schemas refer to themselves: what is being compared is taken for good meanwhile.
        self._seen.add(pair)
        try:
            yield from self._default(before.schema, after.schema, place)
            yield from self._alternatives(before, after, place)
        finally:
            self._seen.discard(pair)

    def _default(self, before: Schema, after: Schema, place: str) -> Iterator[str]:
        old, new = before.get("default"), after.get("default")
        if old != new and not self.answers:
            yield f"{place}: the default is {new!r}, and was {old!r}."

    def _alternatives(self, before: Side, after: Side, place: str) -> Iterator[str]:
        inner, outer = (after, before) if self.answers else (before, after)
        choices = outer.alternatives()
        for one in inner.alternatives():
            alike = [other for other in choices if _types(one) & _types(other)] or choices[:1]
            found = [list(self._fits(one, other, place)) for other in alike]
            # The one that is closest says best what has changed.
            yield from min(found, key=len)

    def _fits(self, inner: Side, outer: Side, place: str) -> Iterator[str]:
        """Tell why not everything that fits `inner` also fits `outer`."""
        if not _types(inner) <= _types(outer):
            kinds = " or ".join(sorted(_types(inner)))
            yield f"{place}: {kinds} {self._verb}."
            return
        yield from self._values(inner.schema, outer.schema, place)
        yield from self._bounds(inner.schema, outer.schema, place)
        yield from self._objects(inner, outer, place)
        yield from self._arrays(inner, outer, place)

    @property
    def _verb(self) -> str:
        return "may be answered now" if self.answers else "is not taken any more"

    def _values(self, inner: Schema, outer: Schema, place: str) -> Iterator[str]:
        allowed, given = _choices(outer), _choices(inner)
        if allowed is None:
            return
        if given is None:
            yield f"{place}: any value {self._verb}, which was one of a choice on the other side."
            return
        for value in given:
            if value not in allowed:
                yield f"{place}: the value {value!r} {self._verb}."

    def _bounds(self, inner: Schema, outer: Schema, place: str) -> Iterator[str]:
        for names, sign in ((LOWER_BOUNDS, 1), (UPPER_BOUNDS, -1)):
            for name in names:
                bound, given = (cast("float | None", one.get(name)) for one in (outer, inner))
                if bound is not None and (given is None or given * sign < bound * sign):
                    yield f"{place}: what is beyond the {name} {bound} {self._verb}."
        for name in EXACT:
            if outer.get(name) not in {None, inner.get(name)}:
                yield f"{place}: what has not the {name} {outer[name]!r} {self._verb}."

    def _objects(self, inner: Side, outer: Side, place: str) -> Iterator[str]:
        before, after = (outer, inner) if self.answers else (inner, outer)
        old, new = before.inner("properties"), after.inner("properties")
        for name, schema in old.items():
            if name in new:
                yield from self.breaks(schema, new[name], f"{place}.{name}")
            else:
                yield f"{place}.{name}: the property is gone."
        for name in sorted(_required(outer) - _required(inner)):
            if name in new:
                verb = "may be missing in answers now" if self.answers else "is required now"
                yield f"{place}.{name}: the property {verb}."
        yield from self._others(before, after, place)

    def _others(self, before: Side, after: Side, place: str) -> Iterator[str]:
        """Compare what properties without a name may be; answers may get more of them."""
        old, new = (one.schema.get("additionalProperties", True) for one in (before, after))
        if new is False and old is not False and not self.answers:
            yield f"{place}: properties without a name are not taken any more."
        if isinstance(old, dict) and isinstance(new, dict):
            schemas = (before.of(cast(Schema, old)), after.of(cast(Schema, new)))
            yield from self.breaks(*schemas, f"{place}.*")

    def _arrays(self, inner: Side, outer: Side, place: str) -> Iterator[str]:
        before, after = (outer, inner) if self.answers else (inner, outer)
        old, new = before.listed("prefixItems"), after.listed("prefixItems")
        if len(old) != len(new):
            yield f"{place}: it has {len(new)} places, and had {len(old)}."
        for number, pair in enumerate(zip(old, new, strict=False)):
            yield from self.breaks(*pair, f"{place}[{number}]")
        items, others = before.schema.get("items"), after.schema.get("items")
        if isinstance(items, dict) and isinstance(others, dict):
            schemas = (before.of(cast(Schema, items)), after.of(cast(Schema, others)))
            yield from self.breaks(*schemas, f"{place}[]")


_ANY = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})


def _types(side: Side) -> frozenset[str]:
    kind = side.schema.get("type")
    if kind is None:
        return _types_of_values(side.schema)
    # Every integer is a number.
    return frozenset({"integer", "number"}) if kind == "number" else frozenset({str(kind)})


def _types_of_values(schema: Schema) -> frozenset[str]:
    values = _choices(schema)
    if values is not None and all(isinstance(value, str) for value in values):
        return frozenset({"string"})
    return _ANY


def _choices(schema: Schema) -> list[object] | None:
    if "const" in schema:
        return [schema["const"]]
    return cast("list[object] | None", schema.get("enum"))


def _required(side: Side) -> set[str]:
    return set(cast("list[str]", side.schema.get("required", [])))
