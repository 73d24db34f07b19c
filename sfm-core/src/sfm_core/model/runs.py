"""Writing many ids in few characters, where most of them are numbers in a row.

Numbers that follow one another are one part: how far the first is from the last
of the part before, and how many they are if more than one, in hexadecimal
digits. What is no number has a part of its own, which begins with a tilde.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Sequence

_LARGEST = 2**63 - 1
_LONG = 20


def to_runs(ids: Sequence[str]) -> Iterator[str]:
    """Write ids; numbers come first and in order, and none twice.

    Args:
        ids: Any texts.

    Yields:
        Parts of letters, digits, `-`, `_`, `=` and `~`.
    """
    numbers = sorted({int(one) for one in ids if _is_number(one)})
    last = start = 0
    while start < len(numbers):
        end = start + 1
        while end < len(numbers) and numbers[end] == numbers[end - 1] + 1:
            end += 1
        gap, count = numbers[start] - last, end - start
        yield f"{gap:x}" if count == 1 else f"{gap:x}-{count:x}"
        last, start = numbers[end - 1], end
    for one in ids:
        if not _is_number(one):
            yield f"~{urlsafe_b64encode(one.encode()).decode()}"


def from_runs(parts: Iterable[str]) -> Iterator[str]:
    """Read ids; a few characters can stand for very many, so take only as many as you need.

    Args:
        parts: What `to_runs` has written, or what somebody made up.

    Yields:
        The ids.

    Raises:
        ValueError: A part is not one that `to_runs` writes.
    """
    last = 0
    for part in parts:
        if part.startswith("~"):
            yield urlsafe_b64decode(part[1:]).decode()
            continue
        gap, dash, count = part.partition("-")
        first = last + int(gap, 16)
        last = first + (int(count, 16) if dash else 1) - 1
        if not 0 <= first <= last <= _LARGEST:
            raise ValueError(f"{part[:80]!r} is out of range")
        yield from map(str, range(first, last + 1))


def _is_number(one: str) -> bool:
    """Tell whether an id is written as a number is, so that it comes back the same."""
    plain = one.isascii() and one.isdecimal() and len(one) < _LONG
    return plain and int(one) <= _LARGEST and str(int(one)) == one
