"""Requests that are made up from the OpenAPI document, sent to a real server."""

# The library's types are only partly known.
# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUntypedFunctionDecorator=false

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Protocol

import pytest
import schemathesis
from fix_serving import Server, start
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sfm_server.app import create_app
from sfm_server.settings import Settings

EXAMPLES_PER_ENDPOINT = 20
TOO_LATE = "urn:sfm:error:deadline-exceeded"
Check = Callable[..., bool | None]


class Response(Protocol):
    """What is used here of an answer."""

    @property
    def text(self) -> str: ...


class Case(Protocol):
    """What is used here of a made-up request, whose own type has parameters without defaults."""

    def call(self, *, base_url: str, timeout: float) -> Response: ...

    def validate_response(self, response: object, *, checks: list[Check]) -> None: ...


@schemathesis.serializer("application/x-ndjson")
def lines(context: schemathesis.SerializationContext, value: object) -> bytes:
    del context
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@pytest.fixture(scope="module")
def victim(tmp_path_factory: pytest.TempPathFactory) -> Generator[Server]:
    running = start(tmp_path_factory.mktemp("victim"), environ={"MEMORY_MODE": "test"})
    yield running
    running.stop()


schema = schemathesis.openapi.from_dict(create_app(Settings(memory_mode="test")).openapi())


@schema.parametrize()
@settings(
    max_examples=EXAMPLES_PER_ENDPOINT,
    derandomize=True,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
def test_any_request_gets_an_answer_of_the_document(case: Case, victim: Server) -> None:
    response = case.call(base_url=victim.url, timeout=60)
    case.validate_response(
        response,
        checks=[
            # Who asks for an answer within a millisecond may be told that there is none.
            *([] if TOO_LATE in response.text else [not_a_server_error]),
            content_type_conformance,
            response_schema_conformance,
            status_code_conformance,
        ],
    )
