"""Whatever the values of the chart say, what comes of it holds together and is what was said."""

from __future__ import annotations

from collections.abc import Mapping

import helm_python as helm
import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.chart_file import Document, Values, container, pods, rendered, variables

NEWEST: str = kubernetes_validate.latest_version()
LONGEST = "a" * 53

# What YAML would take for something else than text.
ODD: dict[str, Values] = {
    "names of secrets": {
        "existingSecret": "123",
        "auth": {"existingSecret": "456"},
        "encryption": {"existingSecret": "789"},
        "files": {"existingSecret": "1e3"},
        "envFromSecrets": ["12"],
    },
    "secrets of stores": {
        "postgres": {"enabled": False, "external": {"existingSecret": "1"}},
        "redis": {"enabled": False, "external": {"existingSecret": "2"}},
        "qdrant": {"enabled": False, "external": {"url": "https://q", "existingSecret": "3"}},
        "redpanda": {
            "enabled": False,
            "external": {"bootstrapServers": "k:1", "existingSecret": "4"},
        },
    },
    "who logs in, and where": {"postgres": {"user": "yes", "database": "2026"}},
    "class of volumes": {"redis": {"persistence": {"storageClass": "1", "size": "20"}}},
    "ingress": {
        "ingress": {"enabled": True, "host": "m.example", "className": "1", "tlsSecret": "2"}
    },
    "ports": {
        "api": {"port": 8080},
        "service": {"port": 80},
        "consumer": {"port": 8081},
        "postgres": {"port": 5432},
        "redis": {"port": 6380},
        "qdrant": {"port": 7333, "grpcPort": 7334},
        "redpanda": {"port": 19092},
    },
    "namespace": {"namespace": "123"},
}
SIZES: dict[str, tuple[Values, list[int]]] = {
    "two pods": ({}, [1]),
    "one pod": ({"api": {"replicas": 1}}, []),
    "more than there are": ({"api": {"disruption": {"minAvailable": 3}}}, []),
    "as many as there may be": (
        {"api": {"replicas": 9, "autoscaling": {"enabled": True, "minReplicas": 1}}},
        [],
    ),
}


@pytest.fixture(params=[*ODD, "a long name"], scope="module")
def documents(request: pytest.FixtureRequest) -> list[Document]:
    values = ODD.get(request.param)
    return rendered({}, release=LONGEST) if values is None else rendered(values)


def labels(document: Document) -> Mapping[str, str]:
    found: Mapping[str, str] = document["spec"]["template"]["metadata"]["labels"]
    return found


def templates(documents: list[Document]) -> list[Document]:
    return [one for one in documents if "template" in one.get("spec", {})]


def test_kubernetes_takes_every_manifest(documents: list[Document]) -> None:
    for document in documents:
        kubernetes_validate.validate(document, NEWEST, strict=True)


def test_names_leave_room_for_what_kubernetes_makes_of_them(documents: list[Document]) -> None:
    # Pods of a stateful set have its name, a hyphen and a hash of ten characters in a label.
    room = {"StatefulSet": 63 - 11}
    for document in documents:
        name = document["metadata"]["name"]
        assert len(name) <= room.get(document["kind"], 63), (document["kind"], name)


def test_each_service_leads_to_a_port_of_one_kind_of_pod(documents: list[Document]) -> None:
    for service in (one for one in documents if one["kind"] == "Service"):
        selector = service["spec"]["selector"].items()
        [chosen] = [one for one in templates(documents) if selector <= labels(one).items()]
        [behind] = chosen["spec"]["template"]["spec"]["containers"]
        there = {port["name"] for port in behind["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= there


def test_probes_ask_a_port_that_is_there_and_mounts_a_volume(documents: list[Document]) -> None:
    for component, pod in pods(documents):
        [one] = pod["containers"]
        numbers = [port["containerPort"] for port in one.get("ports", ())]
        assert len(set(numbers)) == len(numbers), component
        names = {port["name"] for port in one.get("ports", ())}
        asked = [one[probe] for probe in one if probe.endswith("Probe")]
        for way in (probe.get("httpGet", probe.get("tcpSocket")) for probe in asked):
            assert way is None or way["port"] in names, component
        volumes = {volume["name"] for volume in pod.get("volumes", ())} | {"data"}
        assert {mount["name"] for mount in one["volumeMounts"]} <= volumes, component


def test_no_variable_is_given_twice(documents: list[Document]) -> None:
    # Which one counts would depend on how it came there, by an upgrade or an installation.
    for component, pod in pods(documents):
        names = [one["name"] for one in pod["containers"][0].get("env", ())]
        assert len(set(names)) == len(names), component


def test_a_registry_that_asks_who_one_is_may_have_every_image() -> None:
    wanted = [{"name": "registry"}]
    found = [pod["imagePullSecrets"] for _, pod in pods(rendered({"imagePullSecrets": wanted}))]
    assert found == [wanted] * 8


@pytest.mark.parametrize("component", ["api", "consumer", "migration"])
def test_variables_may_name_files_of_a_secret(component: str) -> None:
    values = {"files": {"existingSecret": "mine"}}
    documents = rendered(values)
    [pod] = [pod for name, pod in pods(documents) if name == component]
    [volume] = [one["secret"] for one in pod["volumes"] if one["name"] == "files"]
    assert volume == {"secretName": "mine", "defaultMode": 0o400}
    mounts = container(documents, component)["volumeMounts"]
    where = {"mountPath": "/etc/somafractalmemory/files", "readOnly": True}
    assert {"name": "files", **where} in mounts


@pytest.mark.parametrize("size", SIZES)
def test_a_node_can_always_be_emptied(size: str) -> None:
    values, wanted = SIZES[size]
    found = [
        one["spec"]["minAvailable"]
        for one in rendered(values)
        if one["kind"] == "PodDisruptionBudget"
    ]
    assert found == wanted


def test_a_variable_of_ones_own_reaches_all_who_read_it() -> None:
    documents = rendered({"env": {"SFM_HISTORY_LIMIT": 3}})
    for component in ("api", "consumer", "migration"):
        assert variables(container(documents, component))["SFM_HISTORY_LIMIT"] == "3"


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"env": {"MEMORY_MODE": "development"}}, "set mode instead"),
        ({"env": {"UVICORN_WORKERS": 3}}, "set api.workers instead"),
        ({"api": {"autoscaling": {"enabled": True, "maxReplicas": 1}}}, "api.autoscaling"),
        ({"postgres": {"user": "a:b"}}, "/postgres/user"),
        ({"postgres": {"database": "a?b"}}, "/postgres/database"),
        ({"ingress": {"annotations": {"a": True}}}, "/ingress/annotations"),
        ({"serviceMonitor": {"labels": {"a": 1}}}, "/serviceMonitor/labels"),
    ],
)
def test_values_that_cannot_work_are_refused(values: Values, named: str) -> None:
    with pytest.raises(helm.HelmError) as refused:
        rendered(values)
    assert named in str(refused.value)
