from __future__ import annotations

import pytest

from benchmarks.capacity import (
    CLUSTER,
    ONE_MACHINE,
    Copies,
    Each,
    Machine,
    Need,
    Prices,
    Use,
    cost_per_million,
    days_to_make_anew,
    each,
    limits,
    need,
)

MEASURED = {
    "memory": {
        "truth": 100.0,
        "graph": 0.0,
        "log": 40.0,
        "vectors": 1000.0,
        "topic": 60.0,
        "resident": 3000.0,
        "anonymous": 500.0,
    },
    "version": {"truth": 50.0, "graph": 0.0, "log": 20.0, "vectors": 10.0, "topic": 30.0},
    "link": {"truth": 7.0, "graph": 8.0, "log": 4.0, "vectors": 0.0, "topic": 6.0},
}
ONE = Each(
    truth=100,
    graph=10,
    vectors=1000,
    topic=20,
    memory=3000,
    memory_least=500,
    memory_quantized=2000,
)
MILLION = 10**6


def test_a_memory_takes_what_its_versions_and_links_take() -> None:
    use = Use(versions=2, links=3, log_share=0.5)

    assert each(MEASURED, use) == Each(
        truth=100 + 2 * 50 + 3 * 7 + 0.5 * (40 + 2 * 20 + 3 * 4),
        graph=3 * 8,
        vectors=1000 + 2 * 10,
        topic=0.5 * (60 + 2 * 30 + 3 * 6),
        memory=3000,
        memory_least=500,
        memory_quantized=3000 - 3 * 256,
    )


def test_longer_vectors_take_four_bytes_for_each_number() -> None:
    longer = each(MEASURED, Use(versions=0, dimension=1024, measured_dimension=256))

    assert (longer.vectors, longer.memory) == (1000 + 4 * 768, 3000 + 4 * 768)
    assert longer.memory_quantized == 3000 + 4 * 768 - 3 * 1024


def test_everything_is_kept_as_often_as_there_are_copies() -> None:
    wanted = need("evented_enterprise", ONE, MILLION, Copies(truth=2, vectors=3, topic=4))

    assert wanted.disk_gb == pytest.approx(2 * 0.11 + 3 * 1.0 + 4 * 0.02)
    assert wanted.memory_gb == pytest.approx(3 * 3.0)
    assert wanted.memory_least_gb == pytest.approx(3 * 0.5)
    assert wanted.memory_quantized_gb == pytest.approx(3 * 2.0)


def test_a_truth_in_memory_counts_there_and_on_the_disk() -> None:
    wanted = need("development", ONE, MILLION, ONE_MACHINE)

    assert wanted.memory_gb == pytest.approx(3.0 + 0.11)
    assert wanted.disk_gb == pytest.approx(1.0 + 0.11 + 0.02)


def test_what_is_needed_grows_with_the_count() -> None:
    small, large = (need("embedded", ONE, count, CLUSTER) for count in (MILLION, 10 * MILLION))

    assert large.disk_gb == pytest.approx(10 * small.disk_gb)
    assert large.memory_gb == pytest.approx(10 * small.memory_gb)


def test_a_million_costs_its_share() -> None:
    wanted = Need(disk_gb=100, memory_gb=10, memory_least_gb=5, memory_quantized_gb=7)

    cost = cost_per_million(wanted, 5 * MILLION, Prices(disk_gb=0.1, memory_gb=4))

    assert cost == pytest.approx((10 + 40) / 5)


def test_a_processor_takes_a_day_for_what_takes_the_seconds_of_a_day() -> None:
    assert days_to_make_anew(86_400_000, 0.001) == pytest.approx(1)


@pytest.mark.parametrize(
    ("chosen", "first", "count"),
    [
        ("embedded", "memory of the one machine, per worker", 3e12 / 3000),
        ("development", "memory of the one Redis node that has the truth", 3e12 / 100),
        ("evented_enterprise", "disk of the one PostgreSQL that takes writes", 11e12 / 110),
    ],
)
def test_the_first_limit_is_the_one_that_the_fewest_memories_reach(
    chosen: str, first: str, count: float
) -> None:
    found = limits(chosen, ONE, Machine(memory_gb=3000, disk_gb=11_000))

    name, fits = next(iter(found.items()))
    assert name == first
    assert fits == pytest.approx(count)
