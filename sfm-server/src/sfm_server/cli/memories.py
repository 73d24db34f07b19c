"""Commands that store, recall, read and delete memories."""

from __future__ import annotations

import click

from sfm_server.cli import arguments
from sfm_server.cli.output import payload_text, show, table
from sfm_server.cli.recalled import results_text
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import Arms, Item, MemoryClient, Question
from sfm_server.schemas.listings import CoordsAnswer
from sfm_server.schemas.memories import (
    DeletedAnswer,
    HistoryAnswer,
    MemoryAnswer,
    StoredAnswer,
)
from sfm_server.schemas.recall import ResultsAnswer
from sfm_server.schemas.values import TypeName


@click.command(context_settings=arguments.NEGATIVE_NUMBERS)
@click.argument("payload")
@click.option("--coord", help='Where, such as "1.5,2,-3"; otherwise the memory chooses.')
@arguments.type_option
@click.option("--importance", type=click.FloatRange(0, 1), help="0 (trivial) to 1 (vital).")
@click.option("--ttl", "ttl_seconds", type=float, help="Seconds it is to live.")
@arguments.version_option
@arguments.key_option
@with_target
def store(
    target: Target,
    *,
    payload: str,
    coord: str | None,
    type_name: TypeName | None,
    importance: float | None,
    ttl_seconds: float | None,
    expected_version: int | None,
    idempotency_key: str | None,
) -> None:
    """Store PAYLOAD: a JSON object, plain text, or - for a JSON object on standard input."""
    item = Item(
        payload=arguments.payload(payload),
        coord=coord,
        type=type_name or "episodic",
        importance=importance,
        ttl_seconds=ttl_seconds,
        expected_version=expected_version,
    )

    async def work(client: MemoryClient) -> StoredAnswer:
        return await client.store(item, key=idempotency_key)

    answer = target.run(work)
    show(
        answer,
        as_json=target.as_json,
        text=lambda: f"Stored at {answer.coord}, version {answer.version}.",
    )


@click.command()
@click.argument("query")
@click.option("--top-k", "-k", type=click.IntRange(min=1), default=5, show_default=True)
@arguments.type_option
@click.option("--filters", help="JSON object that payloads must match.")
@click.option("--context", default="", help="What is going on now.")
@click.option(
    "--mode",
    type=click.Choice(["hybrid", "dense", "keyword"]),
    default="hybrid",
    show_default=True,
    help="Which searches take part.",
)
@click.option("--explain", is_flag=True, help="Say what each score is made of.")
@arguments.position_option
@click.option(
    "--deadline-ms",
    type=click.IntRange(min=1, max=3_600_000),
    help="Answer within so many milliseconds, without what is late.",
)
@click.option("--why-not", metavar="COORD", help="Tell why the memory there is not recalled.")
@arguments.as_of_option
@with_target
def recall(
    target: Target,
    *,
    query: str,
    top_k: int,
    type_name: TypeName | None,
    filters: str | None,
    context: str,
    mode: Arms,
    explain: bool,
    min_position: str | None,
    deadline_ms: int | None,
    why_not: str | None,
    as_of: str | None,
) -> None:
    """Recall what answers QUERY best."""
    question = Question(
        query=query,
        top_k=top_k,
        type=type_name,
        filters=arguments.json_object(filters, field="filters") if filters else None,
        context=context,
        mode=mode,
        explain=explain,
        min_position=min_position,
        deadline_ms=deadline_ms,
        why_not=why_not,
        as_of=as_of,
    )

    async def work(client: MemoryClient) -> ResultsAnswer:
        return await client.recall(question)

    answer = target.run(work)
    show(answer, as_json=target.as_json, text=lambda: results_text(answer))
    if answer.incomplete is True:
        click.echo("The index is still being built: memories may be missing.", err=True)


@click.command(context_settings=arguments.NEGATIVE_NUMBERS)
@click.argument("coord")
@arguments.as_of_option
@with_target
def get(target: Target, *, coord: str, as_of: str | None) -> None:
    """Show the memory at COORD."""

    async def work(client: MemoryClient) -> MemoryAnswer:
        return await client.get(coord, as_of=as_of)

    answer = target.run(work)
    show(answer, as_json=target.as_json, text=lambda: _described(answer))


@click.command(context_settings=arguments.NEGATIVE_NUMBERS)
@click.argument("coord")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@arguments.cursor_option
@with_target
def history(target: Target, *, coord: str, limit: int, cursor: str | None) -> None:
    """Show the kept versions of the memory at COORD, the newest first."""

    async def work(client: MemoryClient) -> HistoryAnswer:
        return await client.history(coord, limit, cursor=cursor)

    answer = target.run(work)
    show(
        answer,
        as_json=target.as_json,
        text=lambda: "\n".join(
            f"{one.version}  {one.updated_at:%Y-%m-%d %H:%M:%S}  {payload_text(one.payload)}"
            for one in answer.versions
        ),
    )


@click.command(context_settings=arguments.NEGATIVE_NUMBERS)
@click.argument("coord")
@arguments.version_option
@arguments.key_option
@with_target
def delete(
    target: Target, *, coord: str, expected_version: int | None, idempotency_key: str | None
) -> None:
    """Delete the memory at COORD and its links."""

    async def work(client: MemoryClient) -> DeletedAnswer:
        return await client.delete(coord, expected_version, key=idempotency_key)

    show(target.run(work), as_json=target.as_json, text=lambda: "Deleted.")


@click.command("range", context_settings=arguments.NEGATIVE_NUMBERS)
@click.argument("low", metavar="MIN")
@click.argument("high", metavar="MAX")
@arguments.type_option
@click.option("--limit", type=click.IntRange(min=1), default=1000, show_default=True)
@arguments.cursor_option
@arguments.as_of_option
@with_target
def find_range(
    target: Target,
    *,
    low: str,
    high: str,
    type_name: TypeName | None,
    limit: int,
    cursor: str | None,
    as_of: str | None,
) -> None:
    """List the coordinates whose every component lies between those of MIN and MAX."""

    async def work(client: MemoryClient) -> CoordsAnswer:
        return await client.range(
            low, high, type_name=type_name, limit=limit, cursor=cursor, as_of=as_of
        )

    answer = target.run(work)
    show(answer, as_json=target.as_json, text=lambda: "\n".join(answer.coords))


def _described(answer: MemoryAnswer) -> str:
    rows = [
        ["coord", answer.coord],
        ["namespace", answer.namespace],
        ["payload", payload_text(answer.payload)],
        ["type", answer.type],
        ["importance", f"{answer.importance:g}"],
        ["version", str(answer.version)],
        ["created", answer.created_at.isoformat()],
        ["updated", answer.updated_at.isoformat()],
        ["expires", answer.expires_at.isoformat() if answer.expires_at else "never"],
        ["episode", answer.episode.name if answer.episode else "none"],
        ["read", f"{answer.access_count or 0} times"],
    ]
    return table(rows[0], rows[1:])
