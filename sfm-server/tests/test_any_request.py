"""Requests that are made up from the OpenAPI document, sent to a real server."""

from __future__ import annotations

from collections.abc import Generator

import pytest
import schemathesis
from fix_serving import Server, start
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

EXAMPLES_PER_ENDPOINT = 20


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    running = start(tmp_path_factory.mktemp("victim"), environ={"MEMORY_MODE": "test"})
    yield running
    running.stop()


@pytest.fixture(scope="module")
def document(victim: Server) -> BaseSchema:
    return schemathesis.openapi.from_url(f"{victim.url}/openapi.json")


schema = schemathesis.pytest.from_fixture("document")


@schema.parametrize()
@settings(
    max_examples=EXAMPLES_PER_ENDPOINT,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_any_request_gets_an_answer_of_the_document(case: schemathesis.Case) -> None:
    response = case.call(timeout=20)
    case.validate_response(
        response,
        checks=[
            not_a_server_error,
            content_type_conformance,
            response_schema_conformance,
            status_code_conformance,
        ],
    )
