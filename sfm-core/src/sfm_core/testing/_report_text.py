"""What a conformance report says, as JSON and as Markdown."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import msgspec

KIT_DISTRIBUTION = "somafractalmemory-core"

Kind = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one test.

    Attributes:
        test: Its name, with its parameters.
        outcome: How it ended.
        reason: Why it failed or was left out.
    """

    test: str
    outcome: Kind
    reason: str = ""


@dataclass(slots=True, kw_only=True)
class Part:
    """How one class of tests did.

    Attributes:
        contract: The contract it inherits from.
        suite: Its own name.
        outcomes: What became of its tests.
    """

    contract: str
    suite: str
    outcomes: list[Outcome] = field(default_factory=list[Outcome])

    def count(self, kind: Kind) -> int:
        """Return how many tests ended so."""
        return sum(outcome.outcome == kind for outcome in self.outcomes)


@dataclass(slots=True, kw_only=True)
class Conformance:
    """A report.

    Attributes:
        backend: Whom it is about, in words for the reader, by what they are.
        environment: What it was made with.
        parts: One for each class of tests.
    """

    backend: dict[str, str] = field(default_factory=dict[str, str])
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    parts: dict[str, Part] = field(default_factory=dict[str, Part])

    @property
    def conforms(self) -> bool:
        """Whether there were tests, and none failed."""
        parts = self.parts.values()
        return any(part.count("passed") for part in parts) and not any(
            part.count("failed") for part in parts
        )

    def add(self, suite: str, contract: str, outcome: Outcome) -> None:
        """Note what became of a test."""
        part = self.parts.setdefault(suite, Part(contract=contract, suite=suite))
        # A failure to clean up afterwards takes the place of what passed.
        part.outcomes = [known for known in part.outcomes if known.test != outcome.test]
        part.outcomes.append(outcome)


def environment() -> dict[str, str]:
    """Return the versions that a report depends on."""
    return {
        "kit": f"{KIT_DISTRIBUTION} {version_of(KIT_DISTRIBUTION)}",
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def version_of(distribution: str) -> str:
    """Return the installed version of a distribution, or "unknown"."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"


def as_json(report: Conformance) -> str:
    """Write a report for programs."""
    content = {
        "conforms": report.conforms,
        "backend": report.backend,
        "environment": report.environment,
        "contracts": [
            {
                "contract": part.contract,
                "suite": part.suite,
                "passed": part.count("passed"),
                "failed": part.count("failed"),
                "skipped": part.count("skipped"),
                "tests": part.outcomes,
            }
            for part in report.parts.values()
        ],
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=2).decode() + "\n"


def as_markdown(report: Conformance) -> str:
    """Write a report for people."""
    lines = ["# Conformance report", "", "It conforms." if report.conforms else "It does not."]
    facts = {**report.backend, **report.environment}
    lines += ["", "| | |", "|---|---|", *(f"| {name} | {_cell(facts[name])} |" for name in facts)]
    lines += ["", "| contract | suite | passed | failed | skipped |", "|---|---|---|---|---|"]
    for part in report.parts.values():
        counts = " | ".join(str(part.count(kind)) for kind in ("passed", "failed", "skipped"))
        lines.append(f"| {part.contract} | {part.suite} | {counts} |")
    for title, kind in (("Failed", "failed"), ("Left out", "skipped")):
        named = [
            f"- `{part.suite}.{outcome.test}`: {_cell(outcome.reason)}"
            for part in report.parts.values()
            for outcome in part.outcomes
            if outcome.outcome == kind
        ]
        if named:
            lines += ["", f"## {title}", "", *named]
    return "\n".join(lines) + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
