"""The page about figures, the dashboard and the alert rules against what is exposed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import Metric

from sfm_core.engine.consuming.statistics import Statistics
from sfm_core.model.report import EventLag, Lag
from sfm_server.consuming.figures import Figures
from sfm_server.engine_figures import EngineFigures
from sfm_server.metrics import Metrics

ROOT = Path(__file__).resolve().parent.parent.parent
PAGE = ROOT / "docs" / "reference" / "observability.md"
CONSUMER_PAGE = ROOT / "docs" / "how-to" / "follow-the-events.md"
DEPLOY = ROOT / "deploy" / "observability"

NAME = re.compile(r"\bsfm_[a-z0-9_]+")
SUFFIXES = ("_bucket", "_count", "_sum")
# What PromQL consists of beside names of figures, as far as it is used here.
TOKENS = re.compile(
    r"""\s+|"[^"]*"|\$\w+|\[(?:\d+[smhd]|\$__rate_interval)\]|=~|!~|!=|==|>=|<=|[-+*/(){},=<>]"""
    r"|\d+(?:\.\d+)?|[a-zA-Z_]\w*"
)
FUNCTIONS = {"by", "histogram_quantile", "increase", "label_values", "max", "rate", "sum"}
LABELS = {"by", "code", "handler", "job", "kind", "le", "method", "of", "operation", "outcome"} | {
    "port",
    "result",
    "route",
    "status",
    "work",
}


def families() -> Iterator[Metric]:
    """Every figure that a server tells, and its consumer."""
    registry = CollectorRegistry()
    registry.register(Metrics().figures)
    engine = EngineFigures()
    engine.note(
        Lag(outbox_depth=0, outbox_oldest_at=None, events=EventLag(count=0, oldest_at=None))
    )
    registry.register(engine)
    yield from registry.collect()


def exposed(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def labels_of(name: str) -> tuple[str, ...]:
    # The library has no other way to ask for the labels of what was not counted yet.
    found = Metrics().figures._names_to_collectors.get(name)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    return tuple(getattr(found, "_labelnames", ()))


def consumer_names() -> set[str]:
    statistics = Statistics()
    statistics.lag = 0
    page = CONSUMER_PAGE.read_text(encoding="utf-8")
    shown = {exposed(family) for family in Figures(statistics).collect()}
    return shown | {"sfm_consumer_event_delay_seconds"} & set(NAME.findall(page))


def known() -> set[str]:
    plain = {exposed(family) for family in families()} | consumer_names()
    return plain | {f"{name}{suffix}" for name in plain for suffix in SUFFIXES}


def queries() -> Iterator[tuple[str, str]]:
    """Every query of the dashboard and the rules, with what it is for."""
    dashboard = json.loads((DEPLOY / "dashboard.json").read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["name"], variable["definition"]
    for rule in rules():
        yield str(rule["alert"]), str(rule["expr"])


def rules() -> list[dict[str, object]]:
    document = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def test_every_figure_is_on_the_page_with_its_kind_and_meaning() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `sfm_")]
    told = {row[0].strip("| `"): (row[1], row[3].rstrip(" |")) for row in rows}
    assert told == {exposed(family): (family.type, family.documentation) for family in families()}


def test_every_label_is_on_the_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for line in page.splitlines():
        if line.startswith("| `sfm_"):
            name, labels = line.split(" | ")[0].strip("| `"), line.split(" | ")[2]
            assert re.findall(r"\w+", labels) == list(labels_of(name)), name


@pytest.mark.parametrize(("place", "query"), list(queries()))
def test_every_query_asks_for_figures_that_there_are(place: str, query: str) -> None:
    names = NAME.findall(query) or re.findall(r"\bup\b", query)
    assert names, place
    assert set(names) - known() - {"up"} == set(), place


@pytest.mark.parametrize(("place", "query"), list(queries()))
def test_every_query_consists_of_what_the_language_has(place: str, query: str) -> None:
    rest = TOKENS.sub("", query)
    words = set(re.findall(r"[a-zA-Z_]\w*", re.sub(r'"[^"]*"|\$\w+|\[[^]]*\]', "", query)))
    assert rest == "", place
    assert words - FUNCTIONS - LABELS - known() - {"up"} == set(), place
    for opening, closing in ("()", "{}"):
        assert query.count(opening) == query.count(closing), place


def test_every_rule_has_what_an_alert_needs() -> None:
    assert len({rule["alert"] for rule in rules()}) == len(rules())
    for rule in rules():
        assert set(rule) <= {"alert", "annotations", "expr", "for", "labels"}
        assert re.fullmatch(r"\d+[mh]", str(rule.get("for", "0m")))
        assert cast(dict[str, str], rule["labels"])["severity"] in {"critical", "warning"}
        assert set(cast(dict[str, str], rule["annotations"])) == {"summary", "description"}


def test_panels_of_the_dashboard_do_not_overlap() -> None:
    panels = json.loads((DEPLOY / "dashboard.json").read_text(encoding="utf-8"))["panels"]
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not taken & cells
        taken |= cells
    assert len({panel["id"] for panel in panels}) == len(panels)
