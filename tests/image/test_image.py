"""The steps of the Dockerfile make what serves, as somebody who is not root and cannot write."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from sfm_core.testing.loopback import free_port
from tests.image_tree import Container

pytestmark = pytest.mark.timeout(900)


def test_what_the_steps_of_the_dockerfile_make_stores_and_recalls(
    image_tree: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    environ = {"SFM_PORT": str(free_port()), "UVICORN_WORKERS": "2"}
    container = Container(image_tree, data, tmp_path / "log", environ=environ)
    url = f"http://127.0.0.1:{environ['SFM_PORT']}"
    payload = {"text": "The kettle in the kitchen is broken."}
    try:
        container.start()
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as client:
            stored = client.post("/store", json={"coord": "1,1", "payload": payload})
            asked = {"query": "what was wrong with the kettle?", "top_k": 1}
            recalled = client.post("/recall", json=asked)
        container.stop()
    finally:
        container.close()

    assert stored.json()["ok"] is True
    assert recalled.json() == {"matches": [payload]}
