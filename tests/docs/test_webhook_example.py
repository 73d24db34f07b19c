"""The receiver of webhooks in the how-to takes what is signed, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import cast

import pytest

from sfm_server.webhook.signing import Signer

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "how-to" / "follow-the-events.md"
SECRET = "whsec_" + 8 * "c2VjcmV0"
OTHER = "whsec_" + 8 * "b3RoZXIh"
NOW = datetime(2026, 1, 1, tzinfo=UTC)

IsGenuine = Callable[[bytes, Mapping[str, str], str, float], bool]


@pytest.fixture
def is_genuine() -> IsGenuine:
    [block] = re.findall(
        r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    names: dict[str, object] = {}
    exec(compile(block, PAGE.name, "exec"), names)  # noqa: S102 - the page is ours
    return cast(IsGenuine, names["is_genuine"])


def test_what_is_signed_is_taken(is_genuine: IsGenuine) -> None:
    headers = Signer.of(f"{OTHER},{SECRET}").headers("id", b"body", NOW)
    assert is_genuine(b"body", headers, SECRET, NOW.timestamp() + 10)
    assert is_genuine(b"body", headers, OTHER, NOW.timestamp() - 10)


@pytest.mark.parametrize(
    ("body", "change", "later"),
    [
        (b"other", {}, 0),
        (b"body", {"webhook-id": "other"}, 0),
        (b"body", {"webhook-timestamp": str(int(NOW.timestamp()) + 1)}, 0),
        (b"body", {"webhook-signature": "v1,AAAA"}, 0),
        (b"body", {}, 301),
    ],
    ids=["body", "id", "timestamp", "signature", "old"],
)
def test_what_is_not_as_it_was_signed_is_refused(
    is_genuine: IsGenuine, body: bytes, change: dict[str, str], later: int
) -> None:
    headers = Signer.of(SECRET).headers("id", b"body", NOW) | change
    assert not is_genuine(body, headers, SECRET, NOW.timestamp() + later)


def test_another_secret_is_refused(is_genuine: IsGenuine) -> None:
    headers = Signer.of(OTHER).headers("id", b"body", NOW)
    assert not is_genuine(b"body", headers, SECRET, NOW.timestamp())
