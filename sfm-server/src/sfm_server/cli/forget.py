"""The command that removes memories for good."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sfm_server.cli import arguments
from sfm_server.cli.output import show, table
from sfm_server.cli.picking import every_part, picked_by, refuse_nothing
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import MemoryClient
from sfm_server.picked import Picked
from sfm_server.schemas.purges import PurgedAnswer, PurgedManyAnswer, StorePurgeAnswer
from sfm_server.schemas.values import TypeName
from sfm_server.wire_purges import together

_BATCH = 500


@click.command(context_settings=arguments.NEGATIVE_NUMBERS)
@click.argument("coords", nargs=-1)
@click.option("--file", "path", help="File with one coordinate a line; - is standard input.")
@click.option("--filters", metavar="JSON", help="Only memories whose payload matches.")
@arguments.type_option
@arguments.key_option
@with_target
def forget(
    target: Target,
    *,
    coords: tuple[str, ...],
    path: str | None,
    filters: str | None,
    type_name: TypeName | None,
    idempotency_key: str | None,
) -> None:
    """Remove memories for good, and tell what is left of them where.

    They are those at COORDS, or those that --filters and --type pick; `sfm delete-many
    --dry-run` counts these. What a filter picks is looked for in the truth as it is now: a
    memory that was deleted before, or that said something else before, needs its coordinate.
    """
    wanted = arguments.coordinates(coords, path)
    picked = picked_by(filters, type_name, beside=wanted)
    if picked is None:
        refuse_nothing(coords, path)

    async def work(client: MemoryClient) -> PurgedAnswer:
        if picked is None:
            return together(await _at(client, wanted, idempotency_key))
        return together(await _picked(client, picked, idempotency_key))

    answer = target.run(work)
    show(answer, as_json=target.as_json, text=lambda: _report(answer))


async def _at(client: MemoryClient, wanted: Sequence[str], key: str | None) -> list[PurgedAnswer]:
    return [
        await client.purge(wanted[start : start + _BATCH], key=arguments.key_of_part(key, start))
        for start in range(0, len(wanted), _BATCH) or [0]
    ]


async def _picked(client: MemoryClient, picked: Picked, key: str | None) -> list[PurgedManyAnswer]:
    return await every_part(
        picked,
        lambda here, part: client.purge_picked(here, key=arguments.key_of_part(key, part)),
    )


def stores_table(stores: Sequence[StorePurgeAnswer]) -> str:
    """Lay out how far each store is."""
    rows = [[one.store, one.backend, one.state, one.detail] for one in stores]
    return table(["store", "backend", "state", "what"], rows)


def _report(answer: PurgedAnswer) -> str:
    told = f"Forgot {answer.deleted}."
    return f"{told}\n\n{stores_table(answer.stores)}" if answer.stores else told
