"""Requests and sequences of them, made up from the OpenAPI document, sent to a server of a mode."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from pathlib import Path
from typing import cast

import pytest

from tests.fix_server import ServerProcess

log = logging.getLogger(__name__)

SCRIPTS = Path(sys.executable).parent
HABITS = Path(__file__).with_name("api_habits.py")
# What is well-formed may be refused all the same: a limit, a cursor of another listing.
LEFT_OUT = "positive_data_acceptance"


@pytest.mark.long
@pytest.mark.modes("embedded", "evented_enterprise")
@pytest.mark.timeout(3600)
async def test_no_sequence_of_requests_gets_what_the_document_does_not_say(
    server: ServerProcess, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    seconds = cast(int, pytestconfig.getoption("--api-seconds"))
    server.variables |= {"SOMA_RATE_LIMIT_MAX": "100000000", "SFM_INDEX_WAIT_SECONDS": "10"}
    await server.start()
    command = [
        str(SCRIPTS / "st"),
        f"--config-file={HABITS.with_name('schemathesis.toml')}",
        "run",
        f"{server.url}/openapi.json",
        f"--exclude-checks={LEFT_OUT}",
        "--continue-on-failure",
        "--no-shrink",
        # A purge answers after ten seconds that it goes on.
        "--request-timeout=30",
        "--max-response-time=30",
        f"--max-time={seconds}",
        f"--seed={pytestconfig.getoption('--api-seed')}",
    ]
    environment = os.environ | {  # noqa: TID251 - the whole environment is passed on
        "SCHEMATHESIS_HOOKS": str(HABITS)
    }
    running = await asyncio.create_subprocess_exec(
        *command,
        cwd=tmp_path,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await running.communicate()
    log.info("%s", told.decode(errors="replace")[-2_000:])
    assert running.returncode == 0, told.decode(errors="replace")[-20_000:]
    async with server.client() as client:
        assert (await client.get("/readyz")).status_code == 200
    assert "Traceback" not in server.log
