"""The Helm chart as Helm itself renders it, which needs no cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import helm_python as helm
import yaml

CHART = Path(__file__).resolve().parents[1] / "helm"
SECRETS = {
    "POSTGRES_URL": "postgresql://soma:s3cret@pg.example:5432/memory",
    "REDIS_URL": "rediss://:s3cret@rd.example:6379",
}

Document: TypeAlias = dict[str, Any]
Values: TypeAlias = Mapping[str, Any]


def rendered(values: Values, *, release: str = "sfm") -> list[Document]:
    """Return what is applied to a cluster, the templates of hooks and tests included."""
    with helm.Chart.load(str(CHART)) as chart:
        # As an installation does; rendering alone does not.
        chart.validate_schema(dict(values))
        texts = chart.render(dict(values), name=release, namespace="memory")
    files = [text for name, text in texts.items() if name.endswith(".yaml")]
    return [document for text in files for document in yaml.safe_load_all(text) if document]


def pods(documents: list[Document]) -> Iterator[tuple[str, Document]]:
    """Tell each pod, and for whom it is."""
    for document in documents:
        if document["kind"] == "Pod":
            yield "test", document["spec"]
        elif "template" in document.get("spec", {}):
            template = document["spec"]["template"]
            yield template["metadata"]["labels"]["app.kubernetes.io/component"], template["spec"]


def container(documents: list[Document], component: str) -> Document:
    """Return the container of a component."""
    [found] = [pod["containers"][0] for name, pod in pods(documents) if name == component]
    return dict(found)


def variables(found: Document) -> dict[str, str]:
    """Return the environment of a container; secrets are made up."""
    values: dict[str, str] = {}
    for one in found["env"]:
        secret = one.get("valueFrom", {}).get("secretKeyRef", {})
        value = str(one["value"]) if "value" in one else SECRETS.get(secret["key"], "s3cret")
        values[one["name"]] = re.sub(r"\$\((\w+)\)", lambda m: values[m[1]], value)
    return values
