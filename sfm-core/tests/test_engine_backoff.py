"""Pauses between tries of what keeps failing."""

from __future__ import annotations

from datetime import timedelta

from sfm_core.engine.backoff import Backoff

SECOND = timedelta(seconds=1)


def test_the_longest_pause_doubles_up_to_the_limit() -> None:
    backoff = Backoff(first=SECOND, limit=5 * SECOND, draw=lambda: 1.0)
    assert [backoff.next() for _ in range(5)] == [n * SECOND for n in (1, 2, 4, 5, 5)]


def test_each_pause_is_drawn_from_zero_to_the_longest() -> None:
    drawn = iter((0.0, 0.5, 0.25))
    backoff = Backoff(first=SECOND, draw=lambda: next(drawn))
    assert [backoff.next() for _ in range(3)] == [0 * SECOND, SECOND, SECOND]


def test_after_a_success_pauses_are_short_again() -> None:
    backoff = Backoff(first=SECOND, draw=lambda: 1.0)
    backoff.next()
    backoff.next()
    backoff.reset()
    assert backoff.next() == SECOND


def test_left_to_itself_it_never_exceeds_half_a_minute() -> None:
    backoff = Backoff()
    pauses = [backoff.next() for _ in range(500)]
    assert max(pauses) <= timedelta(seconds=30)
    assert len(set(pauses)) > 400
