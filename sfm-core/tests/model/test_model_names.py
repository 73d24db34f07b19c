from __future__ import annotations

import pytest

from sfm_core.errors import InvalidInputError
from sfm_core.model.events import event_id
from sfm_core.model.names import MAX_NAME_BYTES, SYSTEM_NAMESPACE, check_name
from sfm_core.testing.samples import HOSTILE_NAMES


@pytest.mark.parametrize("name", [*HOSTILE_NAMES, "a", "x" * MAX_NAME_BYTES, "\u00e9" * 64])
def test_a_name_is_accepted_as_it_is(name: str) -> None:
    assert check_name(name, field="namespace") == name


@pytest.mark.parametrize(
    "name",
    ["", "x" * (MAX_NAME_BYTES + 1), "\u00e9" * 65, "a\x00b", "a\nb", "\x7f", "\x1b[0m", "\ud800"],
)
def test_a_name_that_cannot_be_a_key_is_refused_with_its_field(name: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_name(name, field="link_type")
    assert caught.value.field == "link_type"
    assert caught.value.remedy


def test_no_caller_can_name_the_system_namespace() -> None:
    with pytest.raises(InvalidInputError):
        check_name(SYSTEM_NAMESPACE, field="namespace")


def test_an_event_id_is_the_same_for_the_same_change_only() -> None:
    changes = [
        (namespace, key, version)
        for namespace in HOSTILE_NAMES
        for key in (b"m\x00", b"m", b"l")
        for version in (1, 2, 11)
    ]
    assert len({event_id(*change) for change in changes}) == len(changes)
    assert event_id("n", b"k", 1) == event_id("n", b"k", 1)
