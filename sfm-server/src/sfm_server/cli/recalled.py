"""How what was recalled is shown to a person."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from sfm_server.cli.output import payload_text
from sfm_server.schemas.recall import ResultsAnswer, WhyNotAnswer


def results_text(answer: ResultsAnswer) -> str:
    """Return an answer as lines of text."""
    lines = ["The index is behind: the newest may be missing."] if answer.stale is True else []
    if isinstance(answer.left_out, Mapping) and answer.left_out:
        missing = ", ".join(f"{arm} ({why})" for arm, why in answer.left_out.items())
        lines.append(f"Not everything was searched: {missing}.")
    if not answer.results:
        lines.append("Nothing.")
    for found in answer.results:
        lines.append(f"{found.score:.3f}  {found.coord}  {payload_text(found.payload)}")
        if found.parts:
            lines.append(f"       {_parts(found.parts)}")
    if isinstance(answer.why_not, WhyNotAnswer):
        lines += _why_not(answer.why_not)
    return "\n".join(lines)


def _why_not(told: WhyNotAnswer) -> list[str]:
    lines = [f"{told.coord}: {told.reason}. {told.detail}"]
    if told.condition is not None:
        lines.append(f"       {msgspec.json.encode(told.condition).decode()}")
    if told.score is not None and told.parts:
        lines.append(f"       {told.score:.3f}: {_parts(told.parts)}")
    return lines


def _parts(parts: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.3f}" for name, value in parts.items())
