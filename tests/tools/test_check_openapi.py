"""A change of the HTTP API that a client of the last release would stumble over is noticed."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from tools import check_openapi

Json: TypeAlias = dict[str, Any]
Edit: TypeAlias = Callable[[Json], object]

DOCUMENT = json.loads((check_openapi.ROOT / check_openapi.PLACE).read_text(encoding="utf-8"))


# Comparing all of it takes half a second each time.
PATHS = ("/range", "/memories/{coord}", "/neighbors", "/recall", "/link", "/store")
PART = {**DOCUMENT, "paths": {path: DOCUMENT["paths"][path] for path in PATHS}}


def edited(edit: Edit) -> Json:
    document: Json = json.loads(json.dumps(PART))
    edit(document)
    return document


def operation(document: Json, method: str, path: str) -> Json:
    found: Json = document["paths"][path][method]
    return found


def schema(document: Json, name: str) -> Json:
    found: Json = document["components"]["schemas"][name]
    return found


def field(document: Json, name: str, key: str) -> Json:
    found: Json = schema(document, name)["properties"][key]
    return found


def parameter(document: Json, name: str) -> Json:
    listed: list[Json] = operation(document, "get", "/neighbors")["parameters"]
    return next(one for one in listed if one["name"] == name)


BREAKS: dict[str, tuple[Edit, str]] = {
    "a path goes": (lambda d: d["paths"].pop("/range"), "/range: the path is gone."),
    "a method goes": (
        lambda d: d["paths"]["/memories/{coord}"].pop("patch"),
        "PATCH /memories/{coord}: the method is gone.",
    ),
    "a parameter goes": (
        lambda d: operation(d, "get", "/neighbors")["parameters"].remove(parameter(d, "limit")),
        "GET /neighbors query limit: the parameter is gone.",
    ),
    "a parameter is required": (
        lambda d: parameter(d, "limit").update(required=True),
        "GET /neighbors query limit: the parameter is required now.",
    ),
    "a required parameter is new": (
        lambda d: operation(d, "get", "/neighbors")["parameters"].append(
            {"in": "query", "name": "why", "required": True, "schema": {"type": "string"}}
        ),
        "GET /neighbors query why: the parameter is required now.",
    ),
    "a parameter takes less": (
        lambda d: parameter(d, "limit")["schema"].update(minimum=100),
        "GET /neighbors query limit: what is beyond the minimum 100 is not taken any more.",
    ),
    "a body has another media type": (
        lambda d: operation(d, "post", "/recall")["requestBody"].update(content={"text/csv": {}}),
        "POST /recall body: the media type application/json is gone.",
    ),
    "a body is required": (
        lambda d: operation(d, "get", "/range").update(
            requestBody={"required": True, "content": {}}
        ),
        "GET /range: a body is required now.",
    ),
    "a field of a request goes": (
        lambda d: schema(d, "RecallRequest")["properties"].pop("explain"),
        "POST /recall body.explain: the property is gone.",
    ),
    "a field of a request is required": (
        lambda d: schema(d, "RecallRequest")["required"].append("top_k"),
        "POST /recall body.top_k: the property is required now.",
    ),
    "a required field of a request is new": (
        lambda d: schema(d, "RecallRequest").update(
            required=["query", "why"],
            properties={**schema(d, "RecallRequest")["properties"], "why": {"type": "string"}},
        ),
        "POST /recall body.why: the property is required now.",
    ),
    "a field of a request has another type": (
        lambda d: field(d, "RecallRequest", "top_k").update(type="string"),
        "POST /recall body.top_k: integer is not taken any more.",
    ),
    "a field of a request is no longer nullable": (
        lambda d: field(d, "RecallRequest", "namespace")["anyOf"].pop(),
        "POST /recall body.namespace: null is not taken any more.",
    ),
    "a choice of a request goes": (
        lambda d: field(d, "RecallRequest", "mode")["enum"].remove("dense"),
        "POST /recall body.mode: the value 'dense' is not taken any more.",
    ),
    "a bound of a request is narrower": (
        lambda d: field(d, "RecallRequest", "namespace")["anyOf"][0].update(maxLength=64),
        "POST /recall body.namespace: what is beyond the maxLength 64 is not taken any more.",
    ),
    "a field of a request gets a pattern": (
        lambda d: field(d, "RecallRequest", "query").update(pattern="^[a-z]+$"),
        "POST /recall body.query: what has not the pattern '^[a-z]+$' is not taken any more.",
    ),
    "a default changes": (
        lambda d: field(d, "RecallRequest", "top_k").update(default=10),
        "POST /recall body.top_k: the default is 10, and was 5.",
    ),
    "what may stand in an array of a request changes": (
        lambda d: field(d, "LinkRequest", "to_coord")["anyOf"][1]["items"].update(type="integer"),
        "POST /link body.to_coord[]: integer or number is not taken any more.",
    ),
    "a response goes": (
        lambda d: operation(d, "post", "/recall")["responses"].pop("503"),
        "POST /recall -> 503: the response is gone.",
    ),
    "success has another status": (
        lambda d: operation(d, "post", "/recall")["responses"].update({"202": {}}),
        "POST /recall -> 202: success has another status now.",
    ),
    "an answer has another media type": (
        lambda d: operation(d, "post", "/recall")["responses"]["200"].update(content={}),
        "POST /recall -> 200: the media type application/json is gone.",
    ),
    "a field of an answer goes": (
        lambda d: schema(d, "MatchesAnswer")["properties"].pop("stale"),
        "POST /recall -> 200.stale: the property is gone.",
    ),
    "a field of an answer may be missing": (
        lambda d: schema(d, "MatchesAnswer").pop("required"),
        "POST /recall -> 200.matches: the property may be missing in answers now.",
    ),
    "a field of an answer has another type": (
        lambda d: field(d, "MatchesAnswer", "stale").update(type="string"),
        "POST /recall -> 200.stale: string may be answered now.",
    ),
    "a field of an answer may be null": (
        lambda d: field(d, "MatchesAnswer", "stale").update(type=["boolean", "null"]),
        "POST /recall -> 200.stale: null may be answered now.",
    ),
    "a whole number of an answer may be broken": (
        lambda d: field(d, "StoredAnswer", "version").update(type="number"),
        "POST /store -> 200.version: integer or number may be answered now.",
    ),
    "an answer has a new choice": (
        lambda d: field(d, "MemoryAnswer", "type")["enum"].append("procedural"),
        "GET /memories/{coord} -> 200.type: the value 'procedural' may be answered now.",
    ),
    "what stands in an array of an answer changes": (
        lambda d: schema(d, "ScoredMemory")["properties"].pop("score"),
        "POST /recall -> 200.explained[].score: the property is gone.",
    ),
}


@pytest.mark.parametrize(("edit", "told"), BREAKS.values(), ids=BREAKS)
def test_what_a_client_would_stumble_over_is_told(edit: Edit, told: str) -> None:
    assert told in list(check_openapi.breaks(PART, edited(edit)))


ADDITIONS: dict[str, Edit] = {
    "nothing": lambda d: d,
    "words": lambda d: field(d, "RecallRequest", "query").update(description="What is asked."),
    "a path": lambda d: d["paths"].update({"/new": {}}),
    "an optional parameter": lambda d: operation(d, "get", "/range")["parameters"].append(
        {"in": "query", "name": "why", "schema": {"type": "string"}}
    ),
    "an optional field of a request": lambda d: schema(d, "RecallRequest")["properties"].update(
        mood={"type": "string"}
    ),
    "a field of an answer": lambda d: schema(d, "MatchesAnswer")["properties"].update(
        mood={"type": "string"}
    ),
    "a choice of a request": lambda d: field(d, "RecallRequest", "mode")["enum"].append("both"),
    "fewer choices of an answer": lambda d: field(d, "MemoryAnswer", "type")["enum"].pop(),
    "a wider bound": lambda d: field(d, "RecallRequest", "top_k").update(minimum=0),
    "a request need not have a field": lambda d: schema(d, "RecallRequest").pop("required"),
    "an answer always has a field": lambda d: schema(d, "MatchesAnswer")["required"].append(
        "stale"
    ),
    "another error": lambda d: operation(d, "post", "/recall")["responses"].update({"418": {}}),
}


@pytest.mark.parametrize("edit", ADDITIONS.values(), ids=ADDITIONS)
def test_what_no_client_notices_is_no_break(edit: Edit) -> None:
    assert list(check_openapi.breaks(PART, edited(edit))) == []


def test_a_schema_that_refers_to_itself_is_compared_to_its_end() -> None:
    def nest(document: Json) -> None:
        tree = {"type": "object", "properties": {"of": {"$ref": "#/components/schemas/Tree"}}}
        document["components"]["schemas"]["Tree"] = tree
        field(document, "MatchesAnswer", "stale").clear()
        field(document, "MatchesAnswer", "stale")["$ref"] = "#/components/schemas/Tree"

    def prune(document: Json) -> None:
        nest(document)
        schema(document, "Tree")["properties"].clear()

    [*told] = check_openapi.breaks(edited(nest), edited(prune))
    assert "POST /recall -> 200.stale.of: the property is gone." in told


@pytest.mark.parametrize(
    ("before", "after", "allowed"),
    [
        ("0.1.0", "0.1.1", False),
        ("0.1.0", "0.2.0", True),
        ("0.2.0", "1.0.0", True),
        ("1.2.0", "1.3.0", False),
        ("1.2.0", "2.0.0", True),
        ("2.0.0", "1.9.0", False),
    ],
)
def test_a_version_says_whether_it_may_break(before: str, after: str, *, allowed: bool) -> None:
    assert check_openapi.may_break(before, after) is allowed


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a repository with the document as it is here in its only commit."""
    place = tmp_path / check_openapi.PLACE
    place.parent.mkdir(parents=True)
    place.write_text(check_openapi.text_of(DOCUMENT), encoding="utf-8")
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "first")
    return tmp_path


def git(folder: Path, *arguments: str) -> None:
    who = ("-c", "user.name=tester", "-c", "user.email=tester@example.org")
    subprocess.run(["git", *who, *arguments], cwd=folder, check=True, capture_output=True)


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def release(folder: Path, tag: str, document: Json) -> None:
    text = check_openapi.text_of(document)
    (folder / check_openapi.PLACE).write_text(text, encoding="utf-8")
    commit(folder, tag)
    git(folder, "tag", tag)


def more(document: Json) -> Json:
    """Return a document that promises a path which the server does not have."""
    paths = {**document["paths"], "/gone": document["paths"]["/range"]}
    return {**document, "paths": paths}


def test_before_the_first_release_the_committed_document_is_what_was_promised(
    checkout: Path,
) -> None:
    (checkout / check_openapi.PLACE).write_text("{}", encoding="utf-8")
    assert check_openapi.promised(checkout) == (str(check_openapi.PLACE), DOCUMENT)


def test_where_there_is_no_repository_the_file_is_what_was_promised(tmp_path: Path) -> None:
    place = tmp_path / check_openapi.PLACE
    place.parent.mkdir(parents=True)
    place.write_text('{"info": {}}', encoding="utf-8")
    assert check_openapi.promised(tmp_path) == (str(check_openapi.PLACE), {"info": {}})


def test_the_newest_release_is_what_was_promised(checkout: Path) -> None:
    release(checkout, "sfm-server-v0.9.0", {"info": {"version": "0.9.0"}})
    release(checkout, "sfm-server-v0.10.0", {"info": {"version": "0.10.0"}})
    release(checkout, "sfm-core-v0.11.0", {"info": {"version": "other"}})
    assert check_openapi.promised(checkout) == (
        "sfm-server-v0.10.0",
        {"info": {"version": "0.10.0"}},
    )


def test_a_break_since_the_release_fails_the_check(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    release(checkout, "sfm-server-v0.1.0", more(DOCUMENT))
    assert check_openapi.main([], checkout) == 1
    assert "/gone: the path is gone." in capsys.readouterr().out


def test_a_break_that_the_version_allows_is_told_and_does_not_fail(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    older = {**more(DOCUMENT), "info": {"version": "0.0.9"}}
    release(checkout, "sfm-server-v0.0.9", older)
    assert check_openapi.main([], checkout) == 0
    assert "/gone: the path is gone." in capsys.readouterr().out


def test_the_document_is_recorded_when_asked_for(checkout: Path) -> None:
    place = checkout / check_openapi.PLACE
    place.write_text("{}", encoding="utf-8")
    assert check_openapi.main(["--record"], checkout) == 0
    assert place.read_text(encoding="utf-8") == check_openapi.text_of(check_openapi.current())
