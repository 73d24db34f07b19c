"""No password comes through, however it was written."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfm_server.masking import HIDDEN, mask, mask_all, show_option

FIRST, LAST = "canary", "yranac"
PASSWORDS = st.text(st.sampled_from("aZ9 ?#&=@:/%[];,+'\"\\\u00e9"), min_size=0, max_size=8).map(
    lambda middle: f"{FIRST}{middle}{LAST}"
)
NAMES = st.sampled_from(
    ["password", "PASSWORD", "sslpassword", "api_key", "token", "pwd", "secret"]
)


def escaped_somewhere(name: str) -> st.SearchStrategy[str]:
    """Return the same name with any of its letters percent-encoded."""
    letters = [st.sampled_from([letter, f"%{ord(letter):02x}"]) for letter in name]
    return st.tuples(*letters).map("".join)


@pytest.mark.parametrize(
    "form",
    [
        "postgresql://u:{0}@h:5432/db?sslmode=require",
        "postgresql:u:{0}@127.0.0.1:1/db",
        "redis://:{0}@h/0",
        "redis://{1}@h/0",
        "redis+sentinel://u:{0}@h1:1,h2:2/name",
        "u:{0}@h",
        "postgresql://u:p@h/db?sslmode=require&password={0}",
        "postgresql://h/db?options=password%3D{1}",
        "host=h user=u password={0}",
        "host=h user=u password = '{0}'",
        "postgresql://h/db?sslmode=require password={0}",
    ],
)
@given(password=PASSWORDS)
def test_a_password_with_any_character_is_hidden(form: str, password: str) -> None:
    value = form.format(password, quote(password, safe=""))
    for shown in (mask(value), show_option("POSTGRES_URL", value)):
        assert FIRST not in shown
        assert LAST not in shown


@given(password=PASSWORDS, name=NAMES.flatmap(escaped_somewhere), separator=st.sampled_from("?&;"))
def test_an_option_is_hidden_however_its_name_is_written(
    password: str, name: str, separator: str
) -> None:
    shown = mask(f"postgresql://u@h/db?a=b{separator}{name}={password}")
    assert FIRST not in shown
    assert LAST not in shown


@given(password=PASSWORDS)
def test_a_password_with_a_comma_is_hidden_where_commas_part_urls(password: str) -> None:
    shown = mask_all(f"sqlite:a.db,redis://u:{password}@h/0".split(","))
    assert FIRST not in shown
    assert LAST not in shown


@pytest.mark.parametrize(
    "value",
    [
        "sqlite:",
        "sqlite:///var/lib/sfm/memory.db?durability=full&lock_timeout_seconds=30",
        "postgresql://%2Ftmp%2Fsock/db?sslmode=require",
        "redis+sentinel://h1:26379,h2:26379/name",
        "openai+https://api.example.com/v1?model=m&dim=3",
        "http://[::1]:4318",
        "kafka.internal:9092,other:9092",
        "127.0.0.1",
        "::1",
        "/etc/sfm/keys.json",
        "host=h user=u dbname=d",
        "30.0",
        "",
    ],
)
def test_what_holds_no_secret_is_shown(value: str) -> None:
    assert mask(value) == value


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a://u:p@h?x=1&token=t", f"a://u:{HIDDEN}@h?x=1&token={HIDDEN}"),
        ("postgresql:u:p@127.0.0.1:1/db", f"postgresql:{HIDDEN}@127.0.0.1:1/db"),
        ("redis://[x", HIDDEN),
        ("redis://u:p", HIDDEN),
    ],
)
def test_what_is_around_a_secret_is_shown_where_it_is_clean(value: str, shown: str) -> None:
    assert mask(value) == shown
