"""Commands about truths: which there are, and moving memories from one to another."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import click

from sfm_core.engine.changeover import migrate as migrate_truth
from sfm_core.engine.changeover import truths as open_truths
from sfm_core.engine.comparing import compare_truths
from sfm_core.engine.lineage import KnownTruth, Relation
from sfm_core.engine.succession import reclaim
from sfm_core.errors import ConfigurationError
from sfm_core.model.report import MigrationReport, TruthDifference
from sfm_server.cli.exits import Exit
from sfm_server.cli.output import progress_bar, show, table
from sfm_server.cli.target import Target, with_target
from sfm_server.selection import Selection, select
from sfm_server.truths import chosen_truth, other_truths, remember, truth_at, truth_maker

_STATES = {
    Relation.SAME: "this one",
    Relation.EMPTY: "newer",
    Relation.HOLDS_IT: "older",
    Relation.HELD_BY_IT: "newer",
    Relation.UNRELATED: "unrelated",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTruth:
    """A truth of the installation, for listings.

    Attributes:
        place: How its URL begins, without credentials.
        truth_id: Its id; "" where no engine has worked on it, or where it was not reached.
        epoch: How often truths have taken over up to it; 0 where it has no id.
        state: How it stands to the truth of the settings: "this one", "newer",
            "older", "unrelated", "empty", "half copied", "replica" or "not reached".
        superseded_by: Where the truth is that has taken over from it; "" where none has.
    """

    place: str
    truth_id: str = ""
    epoch: int = 0
    state: str
    superseded_by: str = ""


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("destination", metavar="TO")
@click.option("--replace", is_flag=True, help="Remove what only TO holds; go back to an older one.")
@click.option("--dry-run", is_flag=True, help="Count only; change nothing.")
@with_target
def migrate(target: Target, *, source: str, destination: str, replace: bool, dry_run: bool) -> None:
    """Move all memories from one truth to another.

    FROM and TO are URLs of key-value stores or names of modes. Servers that
    run on FROM take no more writes. Interrupted, the same command goes on; at
    its end both truths are read once more and compared.
    """
    selection = _selection(target)

    async def work() -> MigrationReport:
        with progress_bar("Migrating") as advance:
            return await migrate_truth(
                truth_maker(selection),
                truth_at(selection, source),
                truth_at(selection, destination),
                replace=replace,
                dry_run=dry_run,
                lease=selection.engine_settings().lease,
                progress=advance,
            )

    report = asyncio.run(work())
    show(report, as_json=target.as_json, text=lambda: _migrated(report, dry_run=dry_run))


@click.command()
@click.option("--adopt", is_flag=True, help="Go on with the truth of the settings as it is.")
@with_target
def truths(target: Target, *, adopt: bool) -> None:
    """Show the truth of the settings and those of other modes, and which is newer.

    With --adopt, the truth of the settings is declared the one to go on with,
    without what others hold: for when a newer truth is lost, or when two
    truths each hold more than the other. Nothing is removed from any of them.
    """
    selection = _selection(target)

    async def work() -> list[ListedTruth]:
        if adopt:
            await _adopt(selection)
        found = open_truths(
            truth_maker(selection), chosen_truth(selection), other_truths(selection)
        )
        async with found as (chosen, others, unreachable):
            rows = [_listed(chosen, chosen), *(_listed(chosen, other) for other in others)]
        return rows + [ListedTruth(place=place, state="not reached") for place in unreachable]

    listed = asyncio.run(work())
    show(
        listed,
        as_json=target.as_json,
        text=lambda: table(
            ["truth", "state", "epoch", "superseded by", "id"],
            [
                [one.place, one.state, str(one.epoch), one.superseded_by, one.truth_id]
                for one in listed
            ],
        ),
    )


async def _adopt(selection: Selection) -> None:
    found = open_truths(truth_maker(selection), chosen_truth(selection), other_truths(selection))
    async with found as (chosen, others, _):
        manifest = await reclaim(chosen, "sfm truths --adopt", passing_over=others)
    await remember(selection, manifest.truth_id, manifest.epoch)


def compare(target: Target, other: str) -> int:
    """Compare the truth of the settings with another one, and print how they differ.

    Args:
        target: Which memory, and how to print.
        other: URL of a key-value store, or name of a mode.

    Returns:
        The exit status: whether they are equal.

    Raises:
        ConfigurationError: The truth is behind a server of `--url`, or `other`
            is no truth.
        BackendError: A truth failed.
    """
    if target.url is not None:
        raise ConfigurationError(
            "--against compares truths that this machine can reach itself, without a server.",
            setting="--url",
            remedy="Leave --url out, and name the truth by the settings.",
        )
    selection = _selection(target)

    async def work() -> TruthDifference:
        maker = truth_maker(selection)
        here, there = chosen_truth(selection), truth_at(selection, other)
        with progress_bar("Comparing") as advance:
            async with maker.kv(here.url) as mine, maker.kv(there.url) as theirs:
                return await compare_truths(mine, theirs, maker.clock, progress=advance)

    difference = asyncio.run(work())
    show(difference, as_json=target.as_json, text=lambda: _compared(difference))
    return Exit.OK if difference.equal else Exit.FOUND_PROBLEMS


def _compared(difference: TruthDifference) -> str:
    counted = (
        f"{difference.same} the same, {difference.only_here} only here, "
        f"{difference.only_there} only there, {difference.different} not alike."
    )
    return "\n".join([counted, *difference.examples])


def _selection(target: Target) -> Selection:
    loaded = target.settings()
    return select(loaded.settings, options=loaded.options)


def _listed(chosen: KnownTruth, truth: KnownTruth) -> ListedTruth:
    state = "this one" if truth is chosen else _STATES[chosen.relation_to(truth)]
    if truth.empty and truth is not chosen:
        state = "empty"
    if truth.taking_over is not None:
        state = "half copied"
    if truth.replica:
        state = "replica"
    return ListedTruth(
        place=truth.place,
        truth_id=truth.manifest.truth_id if truth.manifest else "",
        epoch=truth.manifest.epoch if truth.manifest else 0,
        state=state,
        superseded_by=truth.successor.place if truth.successor else "",
    )


def _migrated(report: MigrationReport, *, dry_run: bool) -> str:
    counted = (
        f"{report.written} entries written, {report.removed} removed, {report.unchanged} unchanged"
    )
    if dry_run:
        return f"{report.source} to {report.target}, nothing changed: {counted}."
    if report.verified is None:
        return f"{report.target} holds everything of {report.source} already."
    held = report.verified
    return (
        f"{report.source} to {report.target}: {counted}, {report.events} events taken along.\n"
        f"Verified: both hold {held.entries} entries ({held.memories} memories, {held.links} "
        f"links, with deleted ones) in {held.namespaces} namespaces, digest {held.digest}."
    )
