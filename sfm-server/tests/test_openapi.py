from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from sfm_server.app import create_app
from sfm_server.settings import Settings

CONTRACT = {
    ("post", "/store"),
    ("post", "/remember"),
    ("post", "/store_bulk"),
    ("post", "/recall"),
    ("post", "/recall_batch"),
    ("post", "/recall_with_scores"),
    ("post", "/recall_with_context"),
    ("get", "/range"),
    ("get", "/memories/{coord}"),
    ("delete", "/memories/{coord}"),
    ("post", "/link"),
    ("get", "/neighbors"),
    ("get", "/shortest_path"),
    ("get", "/stats"),
    ("get", "/health"),
    ("get", "/healthz"),
    ("get", "/readyz"),
    ("get", "/metrics"),
    ("get", "/"),
    ("get", "/export_memories"),
    ("post", "/import_memories"),
    ("post", "/delete_many"),
}


@pytest.fixture(scope="module")
def document() -> dict[str, object]:
    return create_app(Settings(memory_mode="test")).openapi()


def operations(document: dict[str, object]) -> Iterator[tuple[str, str, dict[str, object]]]:
    paths: dict[str, dict[str, dict[str, object]]] = document["paths"]  # type: ignore[assignment]
    for path, methods in paths.items():
        for method, operation in methods.items():
            yield method, path, operation


@pytest.mark.smoke
def test_every_endpoint_of_the_contract_is_there(document: dict[str, object]) -> None:
    assert {(method, path) for method, path, _ in operations(document)} >= CONTRACT


def test_every_endpoint_says_what_it_does(document: dict[str, object]) -> None:
    assert [path for _, path, one in operations(document) if not one.get("description")] == []


def test_errors_are_documented_as_problems(document: dict[str, object]) -> None:
    for _, path, operation in operations(document):
        responses: dict[str, dict[str, object]] = operation["responses"]  # type: ignore[assignment]
        for status, response in responses.items():
            if int(status) >= 400 and path != "/health":
                assert list(response["content"]) == ["application/problem+json"]  # type: ignore[call-overload]


def test_bodies_have_examples(document: dict[str, object]) -> None:
    schemas: dict[str, dict[str, object]] = document["components"]["schemas"]  # type: ignore[index]
    store: dict[str, dict[str, object]] = schemas["StoreRequest"]["properties"]  # type: ignore[assignment]
    assert store["coord"]["examples"]
    assert store["payload"]["examples"]


def test_who_asks_while_the_document_is_made_gets_all_of_it() -> None:
    app = create_app(Settings(memory_mode="test"))
    told: list[str] = []

    with pytest.MonkeyPatch.context() as patch:

        def meanwhile() -> dict[str, object]:
            patch.undo()
            told.append(json.dumps(app.openapi()))
            return {}

        patch.setattr("sfm_server.app._schemas_of_problems", meanwhile)
        app.openapi()

    assert told == [json.dumps(create_app(Settings(memory_mode="test")).openapi())]


def test_every_reference_leads_to_a_schema_of_the_document(document: dict[str, object]) -> None:
    text = json.dumps(document)
    named = set(re.findall(r'"\$ref": "([^"]*)"', text))
    schemas: dict[str, dict[str, object]] = document["components"]  # type: ignore[assignment]

    assert named <= {f"#/components/schemas/{name}" for name in schemas["schemas"]}
