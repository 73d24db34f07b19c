"""The command that lists and drops collections of the vector store."""

from __future__ import annotations

import click

from sfm_server.cli.output import show, table
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import MemoryClient
from sfm_server.schemas.collections import CollectionAnswer, CollectionsAnswer, DroppedAnswer


@click.command()
@click.option("--drop", metavar="NAME", help="Drop this one, which must be kept or unlisted.")
@with_target
def collections(target: Target, *, drop: str | None) -> None:
    """List the collections of the vector store, or drop one to free its space.

    Each embedder and each text rule has one. "serving" is searched, "building"
    will serve when it is complete, "retiring" has served until now, "kept" makes
    going back cheap. "unlisted" is not known here: other memories may use it.
    """
    if drop is None:
        _list(target)
    else:
        _drop(target, drop)


def _list(target: Target) -> None:
    async def work(client: MemoryClient) -> CollectionsAnswer:
        return await client.collections()

    answer = target.run(work)
    show(
        answer,
        as_json=target.as_json,
        text=lambda: table(
            ["collection", "role", "embedder", "dimension", "state"],
            [
                [one.name, one.role, one.embedder, str(one.dimension), _state(one)]
                for one in answer.collections
            ],
        ),
    )


def _drop(target: Target, name: str) -> None:
    async def work(client: MemoryClient) -> DroppedAnswer:
        return await client.drop_collection(name)

    answer = target.run(work)
    show(answer, as_json=target.as_json, text=lambda: f"Dropped {answer.dropped}.")


def _state(one: CollectionAnswer) -> str:
    problem = one.error or one.unusable
    if problem:
        return problem
    if one.role == "unlisted":
        return "unknown"
    return "complete" if one.complete else f"{one.done} of {one.total} memories"
