"""Commands that tell events."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import aclosing
from functools import partial
from typing import cast

import click

from sfm_core.model.events import EventType
from sfm_server.cli.output import payload_text, progress_bar, show
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import MemoryClient
from sfm_server.schemas.events import ReplayAnswer

_TYPE = click.Choice([one.value for one in EventType])


@click.command()
@click.option("--after", metavar="POSITION", default="now", help="A position, start or now.")
@click.option("--type", "types", multiple=True, type=_TYPE, help="Only this type; repeatable.")
@click.option("--all-namespaces", is_flag=True, help="Everybody's events.")
@click.option("--until-now", is_flag=True, help="Stop where there are no more.")
@with_target
def tail(
    target: Target, *, after: str, types: tuple[str, ...], all_namespaces: bool, until_now: bool
) -> None:
    """Show what changes, as it happens; Ctrl-C stops it.

    Begins with what happens from now on, or after POSITION, or with everything
    that the log holds: start. With --json each line is a CloudEvent. At the
    end, the position to go on from is told on standard error.
    """

    async def work(client: MemoryClient) -> None:
        position = None
        pages = client.follow_events(after, types, all_namespaces=all_namespaces)
        try:
            async with aclosing(pages):
                async for page in pages:
                    for event in page.events:
                        show(event, as_json=target.as_json, text=partial(_line, event))
                    position = page.position
                    if until_now and not page.more:
                        break
        finally:
            if position is not None:
                click.echo(f"Go on with --after {position}", err=True)

    target.run(work)


@click.command()
@click.option("--from", "since", metavar="TIME", required=True, help="What changed from then on.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@with_target
def replay(target: Target, *, since: str, dry_run: bool) -> None:
    """Tell again what changed since a time, in the namespace of --namespace or in all.

    TIME is written 2026-02-03T04:05:06Z, or as a date; without an offset it is
    UTC. For the time in which events were off, or for a topic that is new.
    Whoever has an event already knows it by its id. Nothing but the log of
    events is written, from where what publishes events takes them.
    """
    namespaces = None if target.namespace is None else [target.namespace]

    async def work(client: MemoryClient) -> ReplayAnswer:
        with progress_bar("Replaying") as advance:
            return await client.replay_events(since, namespaces, dry_run=dry_run, progress=advance)

    answer = target.run(work)
    told = f"{answer.events} events: {answer.memories} of memories, {answer.links} of links."
    show(
        answer,
        as_json=target.as_json,
        text=lambda: f"{'There are' if dry_run else 'Told again'} {told}",
    )


def _line(event: Mapping[str, object]) -> str:
    data = cast(Mapping[str, object], event.get("data", {}))
    payload = cast(Mapping[str, object] | None, data.get("payload"))
    parts = [event["time"], event["type"], event["subject"], f"v{event['version']}"]
    return "  ".join([*map(str, parts), *([] if payload is None else [payload_text(payload)])])
