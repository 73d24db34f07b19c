"""A truth that a person has told to go on as it is."""

from __future__ import annotations

import pytest
from engine_house import NS, at, new
from engine_town import Town, url

from sfm_core.engine.changeover import truths
from sfm_core.engine.succession import reclaim
from sfm_core.errors import ConfigurationError

A, B = at(1), at(2, 0.5)


@pytest.fixture
def town() -> Town:
    return Town()


async def test_a_start_is_refused_while_the_truth_that_was_gone_back_to_cannot_be_reached(
    town: Town,
) -> None:
    for place in ("a", "b"):
        async with town.server(place) as engine:
            await engine.store(NS, new(A))
    async with truths(town.maker(), url("a"), [url("b")]) as (truth, others, _):
        await reclaim(truth, "a person", passing_over=others)
    async with town.server("a", last="a") as engine:
        await engine.store(NS, new(B))
    town.stop("a")

    with pytest.raises(ConfigurationError, match="were last in a:, which cannot be reached"):
        await town.start("b", last="a")


async def test_a_truth_can_be_told_to_go_on_without_another(town: Town) -> None:
    for place in ("a", "b"):
        async with town.engine(place) as engine:
            await engine.store(NS, new(A, f"of {place}"))
    async with truths(town.maker(), url("b"), [url("a")]) as (truth, others, _):
        await reclaim(truth, "a person", passing_over=others)

    async with town.server("b", last="a") as engine:
        assert (await engine.get(NS, A)).payload == {"text": "of b"}
    with pytest.raises(ConfigurationError, match="sfm export"):
        await town.start("a", last="b")


async def test_an_empty_truth_that_was_told_to_go_on_follows_what_can_be_reached_later(
    town: Town,
) -> None:
    async with town.server("a") as engine:
        await engine.store(NS, new(A))
    town.stop("a")
    async with truths(town.maker(), url("b"), [url("a")]) as (truth, others, _):
        await reclaim(truth, "a person", passing_over=others)
    town.resume("a")

    async with town.server("b", last="b") as engine:
        assert (await engine.get(NS, A)).version == 1
