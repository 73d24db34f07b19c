"""`as_of` over HTTP."""

from __future__ import annotations

import httpx


async def test_a_memory_and_a_range_are_as_they_were(api: httpx.AsyncClient) -> None:
    times: list[str] = []
    for text in ("one", "two"):
        await api.put("/memories/1", json={"payload": {"text": text}})
        times.append((await api.get("/memories/1")).json()["updated_at"])
    await api.delete("/memories/1")
    for text, moment in zip(("one", "two"), times, strict=True):
        answer = await api.get("/memories/1", params={"as_of": moment})
        memory = answer.json()
        assert (memory["payload"], memory["access_count"]) == ({"text": text}, None)
        known = {"If-None-Match": answer.headers["ETag"]}
        again = await api.get("/memories/1", params={"as_of": moment}, headers=known)
        assert again.status_code == 304
        box = {"min": "0", "max": "9", "as_of": moment}
        assert (await api.get("/range", params=box)).json() == {"coords": ["1"]}
    assert (await api.get("/memories/1")).status_code == 404
    early = {"as_of": "2020-01-01T00:00:00Z"}
    assert (await api.get("/memories/1", params=early)).status_code == 404


async def test_what_is_not_kept_is_gone(api: httpx.AsyncClient) -> None:
    await api.put("/memories/1", json={"payload": {}})
    moment = (await api.get("/memories/1")).json()["updated_at"]
    await api.delete("/memories/1")
    await api.put("/memories/1", json={"payload": {}})
    answer = await api.get("/memories/1", params={"as_of": moment})
    assert (answer.status_code, answer.json()["type"]) == (410, "urn:sfm:error:history-gone")


async def test_what_is_no_time_is_refused(api: httpx.AsyncClient) -> None:
    for path in ("/memories/1?", "/range?min=0&max=1&"):
        answer = await api.get(f"{path}as_of=yesterday")
        assert (answer.status_code, answer.json()["field"]) == (422, "as_of")
