from __future__ import annotations

import pytest

from sfm_core.engine.index import without_credentials


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("redis://u:canary@h:1/0?a=b", "redis://h:1/0?a=b"),
        ("redis://u:can/ary@h", "redis://h"),
        ("postgresql:u:canary@h/db", "postgresql:h/db"),
        ("openai+https://h/v1?model=m@1", "openai+https://h/v1?model=m@1"),
        ("sqlite:", "sqlite:"),
        ("redis://[u:canary@h", "redis://h"),
    ],
)
def test_where_something_is_can_be_told_without_how_to_get_in(url: str, place: str) -> None:
    assert without_credentials(url) == place
