"""The page about the kit against the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from sfm_core.testing import contracts, machines
from sfm_core.testing.conformance import options_of_the_command
from sfm_core.testing.contracts._outage_base import OutageTests
from sfm_core.testing.faults import Fault, FaultPlan
from sfm_core.testing.proxy import TcpProxy

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = (ROOT / "docs" / "reference" / "kit.md").read_text(encoding="utf-8")
PROSE = re.sub(r"^```.*?^```", "", PAGE, flags=re.MULTILINE | re.DOTALL)
NAMED = set(re.findall(r"`([^`]+)`", PROSE))
CLASSES: list[type] = [getattr(contracts, name) for name in contracts.__all__]


def public(owner: type) -> set[str]:
    return {name for name in vars(owner) if not name.startswith("_")}


def attributes(owner: type) -> set[str]:
    """Return the class attributes that a subclass may set."""
    found: set[str] = set()
    for base in owner.__mro__:
        annotations = inspect.get_annotations(base)
        found |= {name for name, type_ in annotations.items() if "ClassVar" in str(type_)}
    return {name for name in found if not name.startswith("_")}


@pytest.mark.parametrize("contract", CLASSES, ids=lambda contract: contract.__name__)
def test_every_contract_is_on_the_page_with_what_it_can_be_told(contract: type) -> None:
    assert {contract.__name__, *attributes(contract)} <= NAMED


def test_what_an_outage_contract_can_be_told_is_on_the_page() -> None:
    assert attributes(OutageTests) <= NAMED


@pytest.mark.parametrize("owner", [TcpProxy, FaultPlan], ids=lambda owner: owner.__name__)
def test_every_call_of_proxy_and_plan_is_on_the_page(owner: type) -> None:
    # The wrapper calls it, nobody else.
    assert public(owner) - {"run"} <= NAMED


def test_every_fault_and_machine_is_on_the_page() -> None:
    assert {fault.name for fault in Fault} | set(machines.__all__) <= NAMED


def test_every_option_of_the_command_is_on_the_page() -> None:
    assert options_of_the_command() - {"--help", "-h"} <= NAMED


@pytest.mark.parametrize(
    "block", re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
)
async def test_every_block_runs(block: str) -> None:
    names: dict[str, object] = {"__name__": "page"}
    exec(compile(block, "kit.md", "exec"), names)  # noqa: S102 - the page is ours
    for name, value in names.items():
        if name.startswith("test_") and inspect.iscoroutinefunction(value):
            await value()
