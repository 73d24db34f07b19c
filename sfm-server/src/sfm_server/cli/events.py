"""Commands that tell events."""

from __future__ import annotations

import click

from sfm_server.cli.output import progress_bar, show
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import MemoryClient
from sfm_server.schemas.events import ReplayAnswer


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
