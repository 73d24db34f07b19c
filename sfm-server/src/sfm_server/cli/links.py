"""Commands that link memories and follow links."""

from __future__ import annotations

from typing import Literal

import click

from sfm_server.cli import arguments
from sfm_server.cli.output import show, table
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import MemoryClient
from sfm_server.schemas.links import LinkedAnswer, NeighborsAnswer, PathAnswer, UnlinkedAnswer

_link_type = click.option("--type", "type_name", default="related", show_default=True)
_only_type = click.option("--type", "type_name", help="Only links of this type.")


@click.command(context_settings=arguments.NEGATIVE_NUMBERS)
@click.argument("source", metavar="FROM")
@click.argument("target_coord", metavar="TO")
@_link_type
@click.option("--weight", type=float, default=1.0, show_default=True, help="Cost of following it.")
@arguments.key_option
@with_target
def link(
    target: Target,
    *,
    source: str,
    target_coord: str,
    type_name: str,
    weight: float,
    idempotency_key: str | None,
) -> None:
    """Link the memory at FROM to the one at TO."""

    async def work(client: MemoryClient) -> LinkedAnswer:
        return await client.link(source, target_coord, type_name, weight, key=idempotency_key)

    answer = target.run(work)
    show(
        answer,
        as_json=target.as_json,
        text=lambda: f"Linked {answer.link.from_coord} to {answer.link.to_coord}.",
    )


@click.command(context_settings=arguments.NEGATIVE_NUMBERS)
@click.argument("source", metavar="FROM")
@click.argument("target_coord", metavar="TO")
@_link_type
@arguments.key_option
@with_target
def unlink(
    target: Target,
    *,
    source: str,
    target_coord: str,
    type_name: str,
    idempotency_key: str | None,
) -> None:
    """Remove the link from FROM to TO."""

    async def work(client: MemoryClient) -> UnlinkedAnswer:
        return await client.unlink(source, target_coord, type_name, key=idempotency_key)

    show(target.run(work), as_json=target.as_json, text=lambda: "Unlinked.")


@click.command(context_settings=arguments.NEGATIVE_NUMBERS)
@click.argument("coord")
@_only_type
@click.option("--direction", type=click.Choice(["out", "in"]), default="out", show_default=True)
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@arguments.position_option
@arguments.cursor_option
@with_target
def neighbors(
    target: Target,
    *,
    coord: str,
    type_name: str | None,
    direction: Literal["out", "in"],
    limit: int,
    min_position: str | None,
    cursor: str | None,
) -> None:
    """List the memories that the one at COORD is linked to, the cheapest link first."""

    async def work(client: MemoryClient) -> NeighborsAnswer:
        return await client.neighbors(
            coord,
            link_type=type_name,
            direction=direction,
            limit=limit,
            min_position=min_position,
            cursor=cursor,
        )

    answer = target.run(work)
    show(answer, as_json=target.as_json, text=lambda: _neighbors(answer))


@click.command(context_settings=arguments.NEGATIVE_NUMBERS)
@click.argument("source", metavar="FROM")
@click.argument("target_coord", metavar="TO")
@_only_type
@arguments.position_option
@with_target
def path(
    target: Target,
    *,
    source: str,
    target_coord: str,
    type_name: str | None,
    min_position: str | None,
) -> None:
    """Show the shortest path of links from FROM to TO."""

    async def work(client: MemoryClient) -> PathAnswer:
        return await client.path(source, target_coord, type_name, min_position=min_position)

    answer = target.run(work)
    show(
        answer,
        as_json=target.as_json,
        text=lambda: " -> ".join(answer.path) or "No path leads there.",
    )


def _neighbors(answer: NeighborsAnswer) -> str:
    if not answer.neighbors:
        return "None."
    rows = [[coord, link.type, f"{link.weight:g}"] for coord, link in answer.neighbors]
    return table(["COORD", "TYPE", "WEIGHT"], rows)
