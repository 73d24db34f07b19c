"""Commands that count memories and look after derived stores."""

from __future__ import annotations

import click

from sfm_server.cli.exits import Exit
from sfm_server.cli.output import progress_bar, show, table
from sfm_server.cli.target import Target, with_target
from sfm_server.clients.protocol import MemoryClient
from sfm_server.schemas.admin import CheckAnswer, RebuildAnswer
from sfm_server.schemas.system import StatsAnswer


@click.command()
@with_target
def stats(target: Target) -> None:
    """Count the memories and links of the namespace."""

    async def work(client: MemoryClient) -> StatsAnswer:
        return await client.stats()

    answer = target.run(work)
    show(
        answer,
        as_json=target.as_json,
        text=lambda: table(
            ["namespace", answer.namespace],
            [
                ["memories", str(answer.total_memories)],
                ["episodic", str(answer.episodic)],
                ["semantic", str(answer.semantic)],
                ["links", str(answer.links)],
                ["namespaces", ", ".join(answer.namespaces)],
            ],
        ),
    )


@click.command()
@with_target
def rebuild(target: Target) -> None:
    """Remake every derived store from the truth.

    Where the settings ask for another embedder or text rule than what serves,
    its collection is built too and serves afterwards.
    """

    async def work(client: MemoryClient) -> RebuildAnswer:
        with progress_bar("Rebuilding") as advance:
            return await client.rebuild(advance)

    answer = target.run(work, decides=True)
    show(answer, as_json=target.as_json, text=lambda: f"Rebuilt {answer.rebuilt} entries.")


@click.command()
@click.option("--repair", is_flag=True, help="Put the differences right.")
@click.option("--against", metavar="URL", help="Compare with another truth: a URL or a mode.")
@with_target
def check(target: Target, *, repair: bool, against: str | None) -> int:
    """Compare the derived stores with the truth; or, with --against, two truths.

    The exit status is 1 if there are differences that were not repaired. Two
    truths are only compared, never repaired: `sfm migrate` does that.
    """
    if against is not None:
        # What opens truths is imported only where it is needed: commands are to start fast.
        from sfm_server.cli.migration import compare  # noqa: PLC0415

        return compare(target, against)

    async def work(client: MemoryClient) -> CheckAnswer:
        with progress_bar("Checking") as advance:
            return await client.check(repair=repair, progress=advance)

    answer = target.run(work)
    show(answer, as_json=target.as_json, text=lambda: _report(answer))
    return Exit.OK if answer.consistent or answer.repaired else Exit.FOUND_PROBLEMS


def _report(answer: CheckAnswer) -> str:
    counted = f"{answer.memories} memories and {answer.links} links"
    if answer.consistent:
        return f"Consistent: {counted}."
    found = {
        "memories without a point": answer.missing,
        "points of another version": answer.stale,
        "points without a memory": answer.orphans,
        "links without an edge": answer.links_missing,
        "edges without a link": answer.links_orphaned,
        "wrong counters": answer.counters_wrong,
    }
    differences = ", ".join(f"{count} {what}" for what, count in found.items() if count)
    ending = "repaired" if answer.repaired else "run `sfm check --repair`"
    return f"{counted}; {differences}: {ending}."
