"""The endpoints of one memory: read, write, change and delete it while it is as it was read."""

from __future__ import annotations

import asyncio

import httpx
import pytest

PAYLOAD = {"text": "Anna moved to Oslo.", "year": 2024}
HERE = "/memories/1,2"
MERGE = {"Content-Type": "application/merge-patch+json"}


async def put(api: httpx.AsyncClient, text: str = "x", **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.put(HERE, json={"payload": {"text": text}}, headers=names)


async def patch(api: httpx.AsyncClient, body: object, **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return await api.patch(HERE, json=body, headers=MERGE | names)


async def test_put_creates_and_replaces(api: httpx.AsyncClient) -> None:
    made, replaced = await put(api), await put(api, "y")
    assert (made.status_code, replaced.status_code) == (201, 200)
    assert (made.json()["version"], replaced.json()["version"]) == (1, 2)
    assert (await api.get(HERE)).json()["payload"] == {"text": "y"}


async def test_what_is_stored_again_after_a_deletion_is_created(api: httpx.AsyncClient) -> None:
    first = await put(api)
    await api.delete(HERE)
    second = await put(api)
    assert second.status_code == 201
    assert first.headers["ETag"] != second.headers["ETag"]


async def test_reads_and_writes_tell_the_same_entity_tag(api: httpx.AsyncClient) -> None:
    for write in (put(api), put(api, "y"), patch(api, {"importance": 1})):
        tag = (await write).headers["ETag"]
        assert tag.startswith('"')
        assert (await api.get(HERE)).headers["ETag"] == tag


@pytest.mark.smoke
async def test_a_read_of_what_is_known_is_not_modified(api: httpx.AsyncClient) -> None:
    tag = (await put(api)).headers["ETag"]
    for known in (tag, f"W/{tag}", f'"a,b" , {tag}', "*"):
        answer = await api.get(HERE, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", tag)
    assert (await api.get(HERE, headers={"If-None-Match": '"other"'})).status_code == 200
    await put(api, "y")
    assert (await api.get(HERE, headers={"If-None-Match": tag})).status_code == 200


async def test_no_cache_mixes_up_the_memories_of_two_namespaces(api: httpx.AsyncClient) -> None:
    tag = (await put(api)).headers["ETag"]
    for headers in ({}, {"If-None-Match": tag}):
        answer = await api.get(HERE, headers=headers)
        assert answer.headers["Cache-Control"] == "private, no-cache"
        assert "X-SFM-Namespace" in answer.headers["Vary"]


async def test_a_read_may_demand_a_tag(api: httpx.AsyncClient) -> None:
    tag = (await put(api)).headers["ETag"]
    assert (await api.get(HERE, headers={"If-Match": tag})).status_code == 200
    both = {"If-Match": '"other"', "If-None-Match": tag}
    assert (await api.get(HERE, headers=both)).status_code == 412


@pytest.mark.parametrize("write", ["put", "patch", "delete"])
async def test_a_write_happens_only_at_the_tag_that_it_demands(
    api: httpx.AsyncClient, write: str
) -> None:
    async def send(**headers: str) -> httpx.Response:
        if write == "delete":
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            return await api.delete(HERE, headers=names)
        return await (put(api, "new", **headers) if write == "put" else patch(api, {}, **headers))

    old = (await put(api)).headers["ETag"]
    tag = (await put(api, "y")).headers["ETag"]
    for refused in (old, f"W/{tag}", '"*"', f"{old}, W/{tag}"):
        answer = await send(If_Match=refused)
        assert (answer.status_code, answer.json()["type"]) == (
            412,
            "urn:sfm:error:precondition-failed",
        )
    for refused in ("*", f"W/{tag}", f"{old},{tag}"):
        assert (await send(If_None_Match=refused)).status_code == 412
    assert (await api.get(HERE)).headers["ETag"] == tag
    assert (await send(If_Match=f"{old}, {tag}")).status_code == 200


async def test_put_can_demand_that_there_is_none(api: httpx.AsyncClient) -> None:
    answers = await asyncio.gather(*(put(api, str(n), If_None_Match="*") for n in range(16)))
    assert sorted(answer.status_code for answer in answers) == [201, *[412] * 15]
    assert (await put(api, If_Match="*")).status_code == 200


async def test_what_is_not_there_is_not_found_whatever_is_demanded(api: httpx.AsyncClient) -> None:
    demand = {"If-Match": '"x"'}
    assert (await api.get(HERE, headers=demand)).status_code == 404
    assert (await api.delete(HERE, headers=demand)).status_code == 404
    assert (await patch(api, {}, If_Match='"x"')).status_code == 404
    assert (await put(api, If_Match="*")).status_code == 412


@pytest.mark.parametrize("header", ["If-Match", "If-None-Match"])
@pytest.mark.parametrize("value", ["", "x", '"x', 'x"y"', '"a" "b"', '"a"x', 'w/"a"', "*, *"])
async def test_a_header_that_holds_no_tags_is_refused(
    api: httpx.AsyncClient, header: str, value: str
) -> None:
    answer = await api.put(HERE, json={"payload": PAYLOAD}, headers={header: value})
    assert (answer.status_code, answer.json()["field"]) == (422, header)


async def test_a_merge_patch_changes_what_it_names(api: httpx.AsyncClient) -> None:
    await api.put(HERE, json={"payload": PAYLOAD | {"more": {"a": 1, "b": 2}}, "importance": 0.9})
    body = {"payload": {"year": None, "more": {"a": None, "c": [3]}}, "type": "semantic"}
    assert (await patch(api, body)).json()["version"] == 2
    memory = (await api.get(HERE)).json()
    assert memory["payload"] == {"text": PAYLOAD["text"], "more": {"b": 2, "c": [3]}}
    assert (memory["type"], memory["importance"]) == ("semantic", 0.9)


async def test_null_in_a_patch_goes_back_to_what_is_usual(api: httpx.AsyncClient) -> None:
    full = {"type": "semantic", "importance": 1, "ttl_seconds": 60}
    await api.put(HERE, json={"payload": PAYLOAD, "episode": {"name": "e", "order": 1}, **full})
    await patch(api, dict.fromkeys((*full, "episode")))
    memory = (await api.get(HERE)).json()
    assert [memory[name] for name in ("type", "importance", "expires_at", "episode")] == [
        "episodic",
        0.5,
        None,
        None,
    ]


async def test_a_patch_as_plain_json_is_one_too(api: httpx.AsyncClient) -> None:
    await put(api)
    answer = await api.patch(HERE, json={"importance": 0.25, "episode": {"name": "e", "order": 1}})
    assert answer.status_code == 200
    assert (await patch(api, {"episode": {"order": 2}})).status_code == 200
    memory = (await api.get(HERE)).json()
    assert (memory["importance"], memory["episode"]) == (0.25, {"name": "e", "order": 2.0})


@pytest.mark.parametrize(
    "body",
    [
        {"payload": None},
        {"payload": [1]},
        {"unknown": 1},
        {"importance": 2},
        {"episode": {"order": 1}},
        {"episode": {"name": None, "order": 1}},
        [],
    ],
)
async def test_a_patch_that_does_not_fit_changes_nothing(
    api: httpx.AsyncClient, body: object
) -> None:
    await put(api)
    assert (await patch(api, body)).status_code == 422
    assert (await api.get(HERE)).json()["version"] == 1


async def test_a_patch_that_is_nested_too_deeply_is_refused(api: httpx.AsyncClient) -> None:
    await put(api)
    deep = b'{"a":' * 500 + b"1" + b"}" * 500
    answer = await api.patch(HERE, content=b'{"payload":' + deep + b"}", headers=MERGE)
    assert answer.status_code in {400, 422}


async def test_concurrent_patches_are_all_in_the_memory(api: httpx.AsyncClient) -> None:
    await put(api)
    await asyncio.gather(*(patch(api, {"payload": {f"n{n}": n}}) for n in range(32)))
    memory = (await api.get(HERE)).json()
    assert (memory["version"], len(memory["payload"])) == (33, 33)


async def test_importance_changes_and_the_rest_stays(api: httpx.AsyncClient) -> None:
    await api.put(HERE, json={"payload": PAYLOAD})
    await api.patch("/memories/1,2", json={"importance": 1})
    memory = (await api.get("/memories/1,2")).json()
    assert (memory["importance"], memory["version"], memory["payload"]) == (1.0, 2, PAYLOAD)


async def test_history_lists_the_newest_version_first(api: httpx.AsyncClient) -> None:
    await api.put(HERE, json={"payload": PAYLOAD})
    await api.post("/store", json={"coord": "1,2", "payload": {"text": "new"}})
    versions = (await api.get("/memories/1,2/history")).json()["versions"]
    assert [one["version"] for one in versions] == [2, 1]
    assert versions[1]["payload"] == PAYLOAD
