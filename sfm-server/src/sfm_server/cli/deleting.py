"""The command that deletes many memories."""

from __future__ import annotations

from collections.abc import Sequence

import click

from sfm_server.cli import arguments
from sfm_server.cli.output import progress_bar, show
from sfm_server.cli.picking import every_part, picked_by, refuse_nothing
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import MemoryClient
from sfm_server.picked import Picked
from sfm_server.schemas.memories import DeletedManyAnswer
from sfm_server.schemas.values import TypeName

_BATCH = 500
_EXAMPLES = 20


@click.command("delete-many", context_settings=arguments.NEGATIVE_NUMBERS)
@click.argument("coords", nargs=-1)
@click.option("--file", "path", help="File with one coordinate a line; - is standard input.")
@click.option("--filters", metavar="JSON", help="Only memories whose payload matches.")
@arguments.type_option
@click.option("--dry-run", is_flag=True, help="Only count them.")
@arguments.key_option
@with_target
def delete_many(
    target: Target,
    *,
    coords: tuple[str, ...],
    path: str | None,
    filters: str | None,
    type_name: TypeName | None,
    dry_run: bool,
    idempotency_key: str | None,
) -> None:
    """Delete the memories at COORDS, or those that --filters and --type pick.

    Coordinates without a memory are passed over. What a filter picks is looked
    for in the truth. The same command with the same idempotency key is about the
    same memories; without one it deletes what is picked then.
    """
    wanted = arguments.coordinates(coords, path)
    picked = picked_by(filters, type_name, beside=wanted)
    if picked is None:
        refuse_nothing(coords, path)

    async def work(client: MemoryClient) -> DeletedManyAnswer:
        if picked is None:
            return await _delete_at(client, wanted, key=idempotency_key, dry_run=dry_run)
        return await _delete_picked(client, picked, key=idempotency_key, dry_run=dry_run)

    answer = target.run(work)
    show(answer, as_json=target.as_json, text=lambda: _told(answer))


async def _delete_at(
    client: MemoryClient, wanted: Sequence[str], *, key: str | None, dry_run: bool
) -> DeletedManyAnswer:
    answers: list[DeletedManyAnswer] = []
    with progress_bar("Deleting", len(wanted)) as advance:
        for start in range(0, len(wanted), _BATCH):
            part = wanted[start : start + _BATCH]
            answers.append(
                await client.delete_many(
                    part, key=arguments.key_of_part(key, start), dry_run=dry_run
                )
            )
            advance(len(part))
    return _together(answers, dry_run=dry_run)


async def _delete_picked(
    client: MemoryClient, picked: Picked, *, key: str | None, dry_run: bool
) -> DeletedManyAnswer:
    answers = await every_part(
        picked,
        lambda here, part: client.delete_picked(
            here, key=arguments.key_of_part(key, part), dry_run=dry_run
        ),
    )
    return _together(answers, dry_run=dry_run)


def _together(answers: Sequence[DeletedManyAnswer], *, dry_run: bool) -> DeletedManyAnswer:
    return DeletedManyAnswer(
        deleted=sum(one.deleted for one in answers),
        matched=sum(one.matched for one in answers),
        examined=sum(one.examined for one in answers),
        dry_run=dry_run,
        examples=[coord for one in answers for coord in one.examples][:_EXAMPLES],
        position=",".join(one.position for one in answers if one.position),
    )


def _told(answer: DeletedManyAnswer) -> str:
    if not answer.dry_run:
        return f"Deleted {answer.deleted}."
    lines = [f"Would delete {answer.matched}.", *answer.examples]
    return "\n".join([*lines, "…"] if answer.matched > len(answer.examples) > 0 else lines)
