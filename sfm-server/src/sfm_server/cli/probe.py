"""The command that asks a server or consumer on this machine how it is."""

from __future__ import annotations

from dataclasses import dataclass

import click
import httpx

from sfm_server.cli.exits import Exit
from sfm_server.cli.output import show
from sfm_server.loading import load_settings
from sfm_server.settings import Settings

PATIENCE_SECONDS = 4.0
"""How long an answer may take."""

_OWN = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  # nosec B104 - asked, not bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What was asked, and what came of it.

    Attributes:
        url: What was asked.
        healthy: Whether the answer was good.
        answer: The answer, or why there is none.
    """

    url: str
    healthy: bool
    answer: str


@click.command()
@click.option("--consumer", is_flag=True, help="Ask the consumer, not the server.")
@click.option("--live", is_flag=True, help="Ask only whether it runs, not whether it can serve.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def probe(*, consumer: bool, live: bool, as_json: bool) -> int:
    """Ask the server or consumer of the settings, on this machine, how it is.

    The exit status is 0 where it is well, degraded included, and else 1: what
    health checks of containers want.
    """
    done = _ask(_url(load_settings().settings, consumer=consumer, live=live))
    show(done, as_json=as_json, text=lambda: f"{done.url}: {done.answer}")
    return Exit.OK if done.healthy else Exit.FOUND_PROBLEMS


def _url(settings: Settings, *, consumer: bool, live: bool) -> str:
    host = _OWN.get(settings.host, f"[{settings.host}]" if ":" in settings.host else settings.host)
    port = settings.consumer_metrics_port if consumer else settings.port
    return f"http://{host}:{port}/{'healthz' if live else 'readyz'}"


def _ask(url: str) -> Probe:
    try:
        # What a proxy would answer says nothing about this machine.
        answer = httpx.get(url, timeout=PATIENCE_SECONDS, trust_env=False)
    except httpx.TransportError as error:
        return Probe(url=url, healthy=False, answer=f"{type(error).__name__} {error}".strip())
    return Probe(url=url, healthy=answer.is_success, answer=answer.text[:1000])
