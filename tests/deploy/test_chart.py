"""The Helm chart renders what Kubernetes takes, for every file of values and every switch."""

from __future__ import annotations

import base64
import re

import helm_python as helm
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from sfm_server.loading import load_settings
from sfm_server.selection import select
from tests.chart_file import CHART, Document, Values, container, pods, rendered, variables

NEWEST = int(kubernetes_validate.latest_version().split(".")[1])
VERSIONS = [f"1.{NEWEST - age}" for age in range(3)]
STORES = ("postgres", "redis", "qdrant", "redpanda")
OURS = ("api", "consumer", "migration", "test")
NAME = "sfm-somafractalmemory"
NEIGHBOURS = {"namespaceSelector": {"matchLabels": {"a": "b"}}}
PROMETHEUS = {"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}

ELSEWHERE: dict[str, Values] = {
    "postgres": {"enabled": False, "external": {"existingSecret": "pg"}},
    "redis": {"enabled": False, "external": {"existingSecret": "rd"}},
    "qdrant": {
        "enabled": False,
        "external": {"url": "https://q.example:6333", "existingSecret": "qd"},
    },
    "redpanda": {
        "enabled": False,
        "external": {"bootstrapServers": "k.example:9093", "existingSecret": "kf"},
    },
}


def values_of(name: str) -> Values:
    found: Values = yaml.safe_load((CHART / name).read_text(encoding="utf-8"))
    return found


CASES: dict[str, Values] = {
    "defaults": {},
    "dev": values_of("values-dev.yaml"),
    "prod": values_of("values-prod.yaml"),
    **{f"{store} elsewhere": {store: ELSEWHERE[store]} for store in STORES},
    "nothing kept": {store: {"persistence": {"enabled": False}} for store in STORES},
    "no events": {"redpanda": {"enabled": False}},
    "everything on": {
        "api": {"autoscaling": {"enabled": True}, "nodeSelector": {"disk": "ssd"}},
        "consumer": {"tolerations": [{"key": "a", "operator": "Exists"}]},
        "ingress": {"enabled": True, "host": "m.example", "className": "nginx", "tlsSecret": "t"},
        "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
        "networkPolicy": {"apiFrom": [NEIGHBOURS], "metricsFrom": [PROMETHEUS]},
        "imagePullSecrets": [{"name": "registry"}],
        "envFromSecrets": ["more"],
        "encryption": {"existingSecret": "keys"},
        "env": {"SFM_HISTORY_LIMIT": 3},
    },
    "another mode": {"strategy": "Recreate"},
}


@pytest.fixture(params=CASES, scope="module")
def case(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def documents(case: str) -> list[Document]:
    return rendered(CASES[case])


def test_secrets_of_ones_own_take_the_place_of_what_would_be_made_anew_each_time() -> None:
    # `helm template` cannot look for those that it made before.
    documents = rendered({"existingSecret": "mine"})
    assert "Secret" not in {one["kind"] for one in documents}
    named = {
        one["valueFrom"]["secretKeyRef"]["name"]
        for _, pod in pods(documents)
        for one in pod["containers"][0].get("env", ())
        if "valueFrom" in one
    }
    assert named == {"mine"}


def test_helm_finds_nothing_to_complain_about() -> None:
    found = helm.lint(str(CHART))
    assert found["errors"] == []
    assert [one["error"] for one in found["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("version", VERSIONS)
def test_kubernetes_takes_every_manifest(documents: list[Document], version: str) -> None:
    for document in documents:
        if document["kind"] != "ServiceMonitor":  # the Prometheus operator's, not Kubernetes'
            kubernetes_validate.validate(document, version, strict=True)


@pytest.mark.parametrize("component", ["api", "consumer", "migration"])
def test_keys_are_a_file_of_a_secret_that_nobody_can_write_to(component: str) -> None:
    documents = rendered({"encryption": {"existingSecret": "mine"}})
    [pod] = [pod for name, pod in pods(documents) if name == component]
    [volume] = [one["secret"] for one in pod["volumes"] if one["name"] == "keys"]
    assert volume == {
        "secretName": "mine",
        "defaultMode": 0o400,
        "items": [{"key": "keys.json", "path": "keys.json"}],
    }
    found = container(documents, component)
    [mount] = [one for one in found["volumeMounts"] if one["name"] == "keys"]
    assert mount["readOnly"]
    assert variables(found)["SFM_ENCRYPTION_KEYS_FILE"] == f"{mount['mountPath']}/keys.json"


@pytest.mark.parametrize("component", ["api", "consumer", "migration"])
def test_without_a_secret_nothing_speaks_of_keys(component: str) -> None:
    documents = rendered({})
    assert "SFM_ENCRYPTION_KEYS_FILE" not in variables(container(documents, component))
    [pod] = [pod for name, pod in pods(documents) if name == component]
    assert [one["name"] for one in pod["volumes"]] == ["data", "tmp"]


def test_names_are_unique(documents: list[Document]) -> None:
    names = [(one["kind"], one["metadata"]["name"]) for one in documents]
    assert len(names) == len(set(names))


def test_our_containers_may_do_as_little_as_possible(documents: list[Document]) -> None:
    for component, pod in pods(documents):
        if component in OURS:
            [one] = pod["containers"]
            assert one["securityContext"] == {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "runAsGroup": 10001,
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            }


def test_nobody_is_root_and_nobody_gets_a_token_of_the_cluster(documents: list[Document]) -> None:
    for component, pod in pods(documents):
        assert pod["automountServiceAccountToken"] is False
        if component in STORES:
            assert pod["securityContext"]["runAsNonRoot"] is True
            assert pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False


def test_services_of_the_cluster_are_no_variables_of_a_pod(documents: list[Document]) -> None:
    # The server refuses names that begin with SFM_ and that it does not know, as a release called
    # sfm would bring.
    for component, pod in pods(documents):
        assert pod["enableServiceLinks"] is False, component


def test_whatever_runs_on_is_probed_and_bounded(documents: list[Document]) -> None:
    for component, pod in pods(documents):
        if component in {*STORES, "api", "consumer"}:
            [one] = pod["containers"]
            # A start may take long: stores recover, and ours bring memories over.
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= one.keys(), component
            assert one["livenessProbe"] != one["readinessProbe"], component
            assert one["resources"]["limits"]["memory"], component


def test_the_api_is_probed_where_it_says_how_it_is(documents: list[Document]) -> None:
    api = container(documents, "api")
    assert api["livenessProbe"]["httpGet"]["path"] == "/healthz"
    assert api["startupProbe"]["httpGet"]["path"] == "/healthz"
    assert api["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert api["ports"] == [{"name": "http", "containerPort": 9595}]


def test_a_store_that_is_being_initialised_is_not_taken_for_one_that_is_ready() -> None:
    # While it is, PostgreSQL listens on its socket alone.
    postgres = container(rendered({}), "postgres")
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert postgres[probe]["exec"]["command"][:3] == ["pg_isready", "-h", "127.0.0.1"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (33_554_432, "33554432"),
        (1_234_567_890_123, "1234567890123"),
        (3, "3"),
        (0.25, "0.25"),
        (True, "true"),
        ("1e6", "1e6"),
    ],
)
def test_a_variable_is_written_as_it_is_in_the_values(value: object, text: str) -> None:
    # Helm reads numbers of a file as floats.
    given = float(value) if isinstance(value, int) and not isinstance(value, bool) else value
    found = container(rendered({"env": {"SFM_MAX_BODY_BYTES": given}}), "api")
    assert variables(found)["SFM_MAX_BODY_BYTES"] == text


def test_pods_give_way_one_by_one(documents: list[Document], case: str) -> None:
    gentle = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    wanted = {"type": "Recreate"} if case == "another mode" else gentle
    found = [one["spec"]["strategy"] for one in documents if one["kind"] == "Deployment"]
    assert found == [wanted] * len(found)
    assert found


def test_the_job_opens_the_memory_when_what_it_needs_was_applied() -> None:
    [job] = [one for one in rendered({}) if one["kind"] == "Job"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "post-install,post-upgrade"


@pytest.mark.parametrize("release", ["sfm", "memory"])
def test_the_alert_rules_find_what_is_scraped_whatever_the_release_is_called(release: str) -> None:
    documents = rendered({"serviceMonitor": {"enabled": True}}, release=release)
    monitors = [one for one in documents if one["kind"] == "ServiceMonitor"]
    jobs = set[str]()
    for monitor in monitors:
        [endpoint] = monitor["spec"]["endpoints"]
        [relabelled] = endpoint["relabelings"]
        assert relabelled["targetLabel"] == "job"
        jobs.add(relabelled["replacement"])
    assert len(jobs) == len(monitors) == 2
    rules = (CHART.parent / "deploy" / "observability" / "alerts.yaml").read_text()
    chosen = re.findall(r'job=~"([^"]+)"', rules)
    assert chosen
    assert all(re.fullmatch(pattern, job) for pattern in chosen for job in jobs)


def test_who_may_reach_the_api_is_named_and_prometheus_and_the_test_are_not_left_out() -> None:
    peers = {"networkPolicy": {"apiFrom": [NEIGHBOURS], "metricsFrom": [PROMETHEUS]}}
    documents = rendered(peers)
    [policy] = [one for one in documents if one["metadata"]["name"] == f"{NAME}-api"]
    [rule] = policy["spec"]["ingress"]
    [test] = [one for one in documents if one["kind"] == "Pod"]
    ours = rule["from"][-1]["podSelector"]["matchLabels"]
    assert rule["from"][:-1] == [NEIGHBOURS, PROMETHEUS]
    assert ours.items() <= test["metadata"]["labels"].items()


def test_a_pod_is_given_longer_than_what_is_in_hand_may_take(documents: list[Document]) -> None:
    [api] = [pod for component, pod in pods(documents) if component == "api"]
    graceful = variables(api["containers"][0])["UVICORN_TIMEOUT_GRACEFUL"]
    assert api["terminationGracePeriodSeconds"] > int(graceful)


def test_no_secret_is_written_in_the_clear(documents: list[Document]) -> None:
    secret_names = re.compile(r"PASSWORD|TOKEN|API_KEY|_SECRET")
    for component, pod in pods(documents):
        for one in pod["containers"][0].get("env", ()):
            if secret_names.search(one["name"]):
                value = one.get("value", "")
                assert "valueFrom" in one or value.startswith("$("), (component, one["name"])
    [made] = [one for one in documents if one["kind"] == "Secret"]
    values = [base64.b64decode(value) for value in made["data"].values()]
    assert all(len(value) == 40 for value in values)
    assert len(set(values)) == len(values)


def test_the_server_takes_what_the_chart_tells_it(case: str, documents: list[Document]) -> None:
    told = variables(container(documents, "api"))
    loaded = load_settings(environ=told)
    selection = select(loaded.settings, options=loaded.options)
    selection.require_backends()
    assert loaded.settings.memory_mode == CASES[case].get("mode", "evented_enterprise")
    assert loaded.settings.port == 9595


def test_api_consumer_and_migration_are_told_the_same(documents: list[Document]) -> None:
    common = variables(container(documents, "migration"))
    del common["SFM_TRACK_ACCESS"]
    for component, _ in pods(documents):
        if component in {"api", "consumer"}:
            assert common.items() <= variables(container(documents, component)).items()


@pytest.mark.parametrize("store", STORES)
def test_a_store_elsewhere_is_not_in_the_cluster(store: str) -> None:
    inside = {component for component, _ in pods(rendered({}))}
    outside = {component for component, _ in pods(rendered({store: ELSEWHERE[store]}))}
    assert inside - outside == {store}


def test_without_a_stream_nobody_consumes_and_nothing_is_logged() -> None:
    documents = rendered(CASES["no events"])
    assert "consumer" not in {component for component, _ in pods(documents)}
    assert variables(container(documents, "api"))["EVENTING_ENABLED"] == "false"


@pytest.mark.parametrize("store", STORES)
def test_stores_in_the_cluster_keep_their_data_in_claims(store: str) -> None:
    [found] = [
        one
        for one in rendered({})
        if one["kind"] == "StatefulSet" and one["metadata"]["name"] == f"{NAME}-{store}"
    ]
    [claim] = found["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]


def test_image_and_tag_are_what_is_asked_for() -> None:
    documents = rendered({"image": {"repository": "registry.example/sfm", "tag": "1.2.3"}})
    images = {container(documents, component)["image"] for component in ("api", "consumer")}
    assert images == {"registry.example/sfm:1.2.3"}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"postgres": {"enabled": False}}, "postgres.external.existingSecret"),
        ({"redis": {"enabled": False}}, "redis.external.existingSecret"),
        ({"qdrant": {"enabled": False}}, "qdrant.external.url"),
        ({"mode": "cloud_managed"}, "postgres.enabled=false"),
        ({"ingress": {"enabled": True}}, "ingress.host"),
        ({"mode": "dream"}, "mode"),
        ({"api": {"replicas": -1}}, "replicas"),
        ({"redis": {"image": "redis"}}, "image"),
        ({"colour": "red"}, "colour"),
        ({"env": {"lower": "x"}}, "lower"),
        ({"strategy": "Sudden"}, "strategy"),
    ],
)
def test_values_that_cannot_work_are_refused(values: Values, named: str) -> None:
    with pytest.raises(helm.HelmError) as refused:
        rendered(values)
    assert named in str(refused.value)
