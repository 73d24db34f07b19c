from __future__ import annotations

import runpy
from pathlib import Path

import httpx

from sfm_server.app import MemoryApp

EXAMPLE = Path(__file__).resolve().parent.parent.parent / "examples" / "api.py"


async def test_the_example_serves_its_own_route_beside_ours() -> None:
    app = runpy.run_path(str(EXAMPLE))["app"]
    assert isinstance(app, MemoryApp)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://sfm") as client,
    ):
        body = {"coord": "1", "payload": {"text": "Bread needs salt."}}
        assert (await client.post("/store", json=body)).is_success
        assert (await client.get("/hello")).json() == {"message": "I remember 1 things."}
