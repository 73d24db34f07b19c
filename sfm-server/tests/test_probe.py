"""`sfm probe` says whether the server or consumer on this machine is well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from fix_consuming import ConsumerProcess
from fix_serving import Serve
from test_workers import until

from sfm_core.testing.loopback import free_port


def probe(port: int | None, *options: str, variable: str = "SFM_PORT") -> tuple[int, str]:
    """Run the command with the variable that says where to ask."""
    done = subprocess.run(
        [sys.executable, "-m", "sfm_server", "probe", *options],
        env=os.environ | {variable: str(port), "SFM_HOST": "0.0.0.0"},  # noqa: S104, TID251
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr
    return done.returncode, done.stdout


@pytest.mark.parametrize("options", [[], ["--live"]])
def test_a_server_that_serves_is_well(serve: Serve, options: list[str]) -> None:
    server = serve()
    # A server that has much else to do may be too slow for one of them.
    until(lambda: probe(urlsplit(server.url).port, *options)[0] == 0)


def test_where_nobody_listens_nobody_is_well() -> None:
    status, said = probe(free_port(), "--json")
    assert status == 1
    assert json.loads(said)["healthy"] is False


def test_a_consumer_is_asked_at_its_own_port(consumer: ConsumerProcess) -> None:
    consumer.start()
    port = urlsplit(consumer.url).port
    until(lambda: probe(port, "--consumer", variable="CONSUMER_METRICS_PORT")[0] == 0)
    consumer.end()
    assert probe(port, "--consumer", variable="CONSUMER_METRICS_PORT")[0] == 1
