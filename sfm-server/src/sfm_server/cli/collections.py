"""Commands that list and drop collections of the vector store."""

from __future__ import annotations

import click

from sfm_server.cli.output import show, table
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import MemoryClient
from sfm_server.schemas.collections import CollectionAnswer, CollectionsAnswer, DroppedAnswer


@click.group()
def collections() -> None:
    """List and drop collections of the vector store.

    Each embedder and each text rule has one. When another is chosen, its
    collection is built while the old one serves; then the old one is kept, so
    that going back to it is cheap, until it is dropped.
    """


@collections.command("list")
@with_target
def list_them(target: Target) -> None:
    """List the collections, and what each is for.

    "serving" is searched, "building" will serve when it is complete,
    "retiring" has served until now, "kept" can be dropped. "unlisted" is in the
    vector store, but not known here: other memories may use it.
    """

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


@collections.command()
@click.argument("name")
@with_target
def drop(target: Target, *, name: str) -> None:
    """Drop the collection NAME, which must be kept or unlisted, to free its space."""

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
