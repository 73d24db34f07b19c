"""Hold the schemas of events to what they promise.

    python -m tools.event_schemas [--record]

Consumers of other people rely on `docs/reference/events/v*`, and read events of yesterday with
schemas of today. So inside a version only one thing may happen: an optional property is added.
What was promised is recorded in `event_promises.json` beside this file. A schema that says
anything else than its record is told, and the exit status is then 1; `--record` records what was
added, and refuses the rest. Descriptions promise nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ROOT / "docs" / "reference" / "events"
RECORD = Path(__file__).resolve().with_name("event_promises.json")
REMEDY = "Leave it as it was, and write the next version beside it: see docs/reference/events.md."

Schema: TypeAlias = Mapping[str, object]

_WORDS = frozenset({"$comment", "description", "examples", "title"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One place where a schema is not as it was promised.

    Attributes:
        place: Version, type and path of the property.
        message: What is different.
        breaks: Whether a consumer may notice.
    """

    place: str
    message: str
    breaks: bool = True

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


def promise_of(schema: Schema) -> dict[str, object]:
    """Return what a schema promises: all of it but the words for readers."""
    properties = _properties(schema)
    rest = {name: value for name, value in schema.items() if name not in {*_WORDS, "properties"}}
    if isinstance(rest.get("required"), list):
        rest["required"] = sorted(cast(list[str], rest["required"]))
    if isinstance(rest.get("items"), dict):
        rest["items"] = promise_of(cast(Schema, rest["items"]))
    if properties:
        rest["properties"] = {name: promise_of(one) for name, one in properties.items()}
    return rest


def differences(promised: Schema, schema: Schema, place: str) -> Iterator[Difference]:
    """Compare a schema with what was promised.

    Args:
        promised: What `promise_of` has returned before.
        schema: What `promise_of` returns now.
        place: What to call it.

    Yields:
        Every difference.
    """
    for name in sorted({*promised, *schema} - {"properties"}):
        if promised.get(name) != schema.get(name):
            was, now = (json.dumps(one.get(name)) for one in (promised, schema))
            yield Difference(place=place, message=f"`{name}` is {now}, and was promised as {was}.")
    before, after = _properties(promised), _properties(schema)
    for name, old in before.items():
        inner = f"{place}.{name}"
        if name in after:
            yield from differences(old, after[name], inner)
        else:
            yield Difference(place=inner, message="It is gone.")
    for name in after.keys() - before.keys():
        yield Difference(place=f"{place}.{name}", message="It is not recorded.", breaks=False)


def compare(promised: Mapping[str, Schema], schemas: Mapping[str, Schema]) -> Iterator[Difference]:
    """Compare all schemas with all promises.

    Args:
        promised: What was promised, by version and type.
        schemas: The schemas, by version and type.

    Yields:
        Every difference.
    """
    for name, promise in promised.items():
        if name in schemas:
            yield from differences(promise, promise_of(schemas[name]), name)
        else:
            yield Difference(place=name, message="It is gone.")
    for name in schemas.keys() - promised.keys():
        yield Difference(place=name, message="It is not recorded.", breaks=False)


def read_schemas(folder: Path = SCHEMAS) -> dict[str, Schema]:
    """Read all schemas, by version and type such as `v1/memory.stored`."""
    return {
        f"{path.parent.name}/{path.stem}": json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(folder.glob("v*/*.json"))
    }


def read_promises(path: Path = RECORD) -> dict[str, Schema]:
    """Read what was promised."""
    promised: dict[str, Schema] = json.loads(path.read_text(encoding="utf-8"))
    return promised


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, tell, and record what was added if asked to.

    Args:
        arguments: The command line.

    Returns:
        The exit status.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.event_schemas")
    parser.add_argument("--record", action="store_true", help="record what was added")
    record: bool = parser.parse_args(arguments).record
    schemas = read_schemas()
    found = list(compare(read_promises(), schemas))
    broken = [one for one in found if one.breaks]
    for one in broken or found:
        print(one)
    if broken:
        print(REMEDY)
    elif record:
        promises = {name: promise_of(schema) for name, schema in schemas.items()}
        RECORD.write_text(json.dumps(promises, indent=1) + "\n", encoding="utf-8")
        return 0
    elif found:
        print("Record it: python -m tools.event_schemas --record")
    return 1 if found else 0


def _properties(schema: Schema) -> Mapping[str, Schema]:
    return cast(Mapping[str, Schema], schema.get("properties", {}))


if __name__ == "__main__":
    sys.exit(main())
