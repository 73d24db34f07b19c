"""The command that removes memories for good."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sfm_core.errors import InvalidInputError
from sfm_server.cli import arguments
from sfm_server.cli.output import show, table
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import MemoryClient
from sfm_server.schemas.purges import PurgedAnswer, StorePurgeAnswer
from sfm_server.wire_purges import together

_BATCH = 500


@click.command(context_settings=arguments.NEGATIVE_NUMBERS)
@click.argument("coords", nargs=-1)
@click.option("--file", "path", help="File with one coordinate a line; - is standard input.")
@arguments.key_option
@with_target
def forget(
    target: Target, *, coords: tuple[str, ...], path: str | None, idempotency_key: str | None
) -> None:
    """Remove the memories at COORDS for good, and tell what is left of them where."""
    wanted = _named([*coords, *(arguments.coords_in(path) if path else ())])

    async def work(client: MemoryClient) -> PurgedAnswer:
        return together(
            [
                await client.purge(
                    wanted[start : start + _BATCH],
                    key=arguments.key_of_part(idempotency_key, start),
                )
                for start in range(0, len(wanted), _BATCH)
            ]
        )

    answer = target.run(work)
    show(answer, as_json=target.as_json, text=lambda: _report(answer))


def _named(coords: list[str]) -> list[str]:
    if not coords:
        raise InvalidInputError(
            "No memory is named.", field="coords", remedy="Name coordinates, or a --file of them."
        )
    return coords


def stores_table(stores: Sequence[StorePurgeAnswer]) -> str:
    """Lay out how far each store is."""
    rows = [[one.store, one.backend, one.state, one.detail] for one in stores]
    return table(["store", "backend", "state", "what"], rows)


def _report(answer: PurgedAnswer) -> str:
    return f"Forgot {answer.deleted}.\n\n{stores_table(answer.stores)}"
