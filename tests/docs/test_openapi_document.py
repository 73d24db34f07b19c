"""The OpenAPI document on the site is that of the server, and keeps what was promised."""

from __future__ import annotations

from tools import check_openapi


def test_the_document_is_that_of_the_server() -> None:
    kept = (check_openapi.ROOT / check_openapi.PLACE).read_text(encoding="utf-8")
    remedy = "Run `python -m tools.check_openapi --record`."
    assert kept == check_openapi.text_of(check_openapi.current()), remedy


def test_no_client_of_the_last_release_stumbles() -> None:
    assert check_openapi.main([]) == 0
