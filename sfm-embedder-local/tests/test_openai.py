from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from openai_service import (
    DIMENSION,
    PatientClock,
    Reply,
    Service,
    embeddings,
    vector_of,
)

from sfm_core.errors import (
    BackendError,
    BackendUnavailableError,
    ClosedError,
    CorruptDataError,
    DeadlineExceededError,
    LimitExceededError,
)
from sfm_core.protocols import MAX_BATCH
from sfm_embedder_local.openai import MAX_ATTEMPTS, OpenAiEmbedder
from sfm_embedder_local.settings import OpenAiSettings


@pytest.fixture
def clock() -> PatientClock:
    return PatientClock()


@pytest.fixture
def settings(service: Service) -> OpenAiSettings:
    return OpenAiSettings(
        endpoint=service.url, model="m", dimension=DIMENSION, api_key="key", batch=4
    )


@pytest.fixture
async def embedder(settings: OpenAiSettings, clock: PatientClock) -> AsyncIterator[OpenAiEmbedder]:
    async with OpenAiEmbedder(settings, clock) as opened:
        yield opened


async def test_vectors_come_normalised_in_the_order_of_the_texts(embedder: OpenAiEmbedder) -> None:
    texts = ["a", "banana", "cab"]
    expected = np.array([vector_of(text) for text in texts], dtype=np.float32)

    vectors = await embedder.embed(texts)

    assert np.allclose(vectors, expected / np.linalg.norm(expected, axis=1, keepdims=True))


async def test_model_and_key_are_sent(embedder: OpenAiEmbedder, service: Service) -> None:
    await embedder.embed(["text"])

    assert (service.questions[0]["model"], "bearer key" in service.headers[0]) == ("m", True)


async def test_without_a_key_no_authorization_is_sent(
    settings: OpenAiSettings, clock: PatientClock, service: Service
) -> None:
    async with OpenAiEmbedder(replace(settings, api_key=""), clock) as embedder:
        await embedder.embed(["text"])

    assert "authorization" not in service.headers[0]


async def test_texts_are_sent_in_batches(embedder: OpenAiEmbedder, service: Service) -> None:
    vectors = await embedder.embed([f"text {number}" for number in range(10)])

    assert sorted(len(question["input"]) for question in service.questions) == [2, 4, 4]
    assert vectors.shape == (10, DIMENSION)


async def test_no_more_requests_are_under_way_than_allowed(
    settings: OpenAiSettings, clock: PatientClock, service: Service
) -> None:
    async with OpenAiEmbedder(replace(settings, batch=1, concurrency=2), clock) as embedder:
        await asyncio.gather(*(embedder.embed(["a", "b", "c"]) for _ in range(8)))

    assert service.most_under_way == 2


async def test_blank_texts_are_not_sent(embedder: OpenAiEmbedder, service: Service) -> None:
    vectors = await embedder.embed(["", " \n"])

    assert (service.questions, vectors.tolist()) == ([], [[1.0, 0.0, 0.0]] * 2)


async def test_long_texts_and_half_characters_are_sent_readable(
    embedder: OpenAiEmbedder, service: Service
) -> None:
    await embedder.embed(["x" * 10_000_000, "\ud800"])

    assert service.questions[0]["input"] == ["x" * 8_000, "?"]


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503])
async def test_a_passing_failure_is_tried_again(
    embedder: OpenAiEmbedder, service: Service, clock: PatientClock, status: int
) -> None:
    service.plan = [Reply("busy", status), Reply("busy", status)]

    await embedder.embed(["text"])

    assert (len(service.questions), len(clock.waits)) == (3, 2)


async def test_the_service_says_how_long_to_wait(
    embedder: OpenAiEmbedder, service: Service, clock: PatientClock
) -> None:
    service.plan = [
        Reply("busy", 429, "Retry-After: 7\r\n"),
        Reply("busy", 429, "Retry-After: 99999\r\n"),
        Reply("busy", 429, "Retry-After: soon\r\n"),
    ]

    await embedder.embed(["text"])

    assert clock.waits[:2] == [timedelta(seconds=7), timedelta(seconds=30)]
    assert clock.waits[2] <= timedelta(seconds=8)


async def test_a_lasting_failure_is_given_up(embedder: OpenAiEmbedder, service: Service) -> None:
    service.plan = [Reply("out of order", 500)] * (MAX_ATTEMPTS + 1)

    with pytest.raises(BackendUnavailableError, match="status 500: out of order") as failure:
        await embedder.embed(["text"])

    assert (failure.value.retryable, len(service.questions)) == (True, MAX_ATTEMPTS)


@pytest.mark.parametrize(
    ("status", "remedy"), [(400, ""), (401, "OPENAI_API_KEY"), (404, "/embeddings")]
)
async def test_a_refusal_is_not_tried_again(
    embedder: OpenAiEmbedder, service: Service, status: int, remedy: str
) -> None:
    service.plan = [Reply("no", status)]

    with pytest.raises(BackendError, match=f"status {status}") as failure:
        await embedder.embed(["text"])

    assert (failure.value.retryable, len(service.questions)) == (False, 1)
    assert remedy in failure.value.remedy


async def test_a_silent_service_runs_into_the_timeout(
    settings: OpenAiSettings, clock: PatientClock, service: Service
) -> None:
    service.plan = [Reply(status=None)] * MAX_ATTEMPTS
    hasty = replace(settings, timeout=timedelta(seconds=1))

    async with OpenAiEmbedder(hasty, clock) as embedder:
        with pytest.raises(DeadlineExceededError, match="in time"):
            await embedder.embed(["text"])

    assert len(service.questions) == MAX_ATTEMPTS


async def test_the_deadline_ends_a_call_whatever_is_left_to_try(
    settings: OpenAiSettings, clock: PatientClock, service: Service
) -> None:
    service.plan = [Reply(status=None)]
    hasty = replace(settings, deadline=timedelta(seconds=0.05))

    async with OpenAiEmbedder(hasty, clock) as embedder:
        with pytest.raises(DeadlineExceededError, match="deadline_seconds"):
            await embedder.embed(["text"])


async def test_an_absent_service_is_unavailable(
    settings: OpenAiSettings, clock: PatientClock
) -> None:
    absent = replace(settings, endpoint="http://127.0.0.1:1/v1")

    async with OpenAiEmbedder(absent, clock) as embedder:
        with pytest.raises(BackendUnavailableError, match="was not reached"):
            await embedder.ping()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "<html>",
        "[]",
        '{"data": {}}',
        '{"data": []}',
        '{"data": [{"index": 0, "embedding": [1, 2]}]}',
        '{"data": [{"index": 0, "embedding": [1, 2, 3, 4]}]}',
        '{"data": [{"index": 1, "embedding": [1, 2, 3]}]}',
        '{"data": [{"index": -1, "embedding": [1, 2, 3]}]}',
        '{"data": [{"index": 0, "embedding": [1, 2, null]}]}',
        '{"data": [{"index": 0, "embedding": [1, 2, NaN]}]}',
        '{"data": [{"index": 0, "embedding": [1, 2, 1e300]}]}',
        '{"data": [{"index": 0, "embedding": "AAAA"}]}',
    ],
)
async def test_an_answer_that_is_none_is_reported(
    embedder: OpenAiEmbedder, service: Service, body: str
) -> None:
    service.plan = [Reply(body)]

    with pytest.raises(CorruptDataError, match="SFM_EMBEDDER_URL"):
        await embedder.embed(["text"])


async def test_a_short_answer_is_reported(embedder: OpenAiEmbedder, service: Service) -> None:
    service.plan = [Reply(lambda texts: embeddings(texts[:-1]))]

    with pytest.raises(CorruptDataError, match="1 embeddings for 2 texts"):
        await embedder.embed(["one", "two"])


async def test_one_failed_batch_fails_the_call(embedder: OpenAiEmbedder, service: Service) -> None:
    service.plan = [Reply(), Reply("no", 400)]

    with pytest.raises(BackendError, match="status 400"):
        await embedder.embed(["text"] * 12)


async def test_a_vector_of_zeros_becomes_a_direction(
    embedder: OpenAiEmbedder, service: Service
) -> None:
    service.plan = [Reply('{"data": [{"index": 0, "embedding": [0, 0, 0]}]}')]

    assert (await embedder.embed(["text"])).tolist() == [[1.0, 0.0, 0.0]]


async def test_sixty_four_tasks_get_their_own_vectors(embedder: OpenAiEmbedder) -> None:
    texts = ["a" * number for number in range(1, 65)]

    answers = await asyncio.gather(*(embedder.embed([text]) for text in texts))

    assert np.array_equal(np.concatenate(answers), await embedder.embed(texts))


async def test_a_cancelled_call_leaves_the_embedder_usable(
    embedder: OpenAiEmbedder, service: Service
) -> None:
    service.plan = [Reply(status=None)]
    task = asyncio.create_task(embedder.embed(["text"]))
    await service.asked.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await embedder.embed(["text"])).shape == (1, DIMENSION)


async def test_too_many_texts_are_refused(embedder: OpenAiEmbedder) -> None:
    with pytest.raises(LimitExceededError, match="texts"):
        await embedder.embed(["x"] * (MAX_BATCH + 1))


async def test_before_and_after_it_is_open_it_says_so(
    settings: OpenAiSettings, clock: PatientClock
) -> None:
    embedder = OpenAiEmbedder(settings, clock)
    with pytest.raises(ClosedError):
        await embedder.embed(["text"])
    async with embedder:
        await embedder.ping()
    with pytest.raises(ClosedError):
        await embedder.ping()


def test_what_changes_the_vectors_changes_the_fingerprint(
    settings: OpenAiSettings, clock: PatientClock
) -> None:
    changes = [
        settings,
        replace(settings, model="other"),
        replace(settings, revision="2"),
        replace(settings, dimension=4),
        replace(settings, max_characters=9),
    ]

    assert len({OpenAiEmbedder(one, clock).fingerprint.digest for one in changes}) == len(changes)


def test_where_the_service_runs_does_not_change_the_fingerprint(
    settings: OpenAiSettings, clock: PatientClock
) -> None:
    elsewhere = replace(settings, endpoint="http://elsewhere/v1", api_key="other")

    assert (
        OpenAiEmbedder(elsewhere, clock).fingerprint == OpenAiEmbedder(settings, clock).fingerprint
    )
