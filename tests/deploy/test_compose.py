"""The compose file is what users know: its services, names, ports, volumes and conditions."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from sfm_server.settings import Settings, variable_of
from tests.compose_file import PROFILES, ROOT, Model, check_out, compose, rendered

SERVICES = {"redis", "qdrant", "postgres", "redpanda", "api", "consumer"}
BACKING = {"redis", "qdrant", "postgres", "redpanda"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as it is after `cp .env.example .env`."""
    return check_out(tmp_path_factory.mktemp("checkout"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    """What Compose makes of the file, with every profile."""
    return rendered(folder)


def document(path: str) -> Model:
    found: Model = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return found


def ports(service: Model) -> Sequence[tuple[str, int]]:
    return [(port["published"], port["target"]) for port in service.get("ports", ())]


def test_without_a_profile_the_api_its_consumer_and_what_they_need_are_started(
    folder: Path,
) -> None:
    assert set(compose(folder, "config", "--services").split()) == SERVICES


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_another_api_is_started_when_it_is_asked_for(folder: Path, name: str) -> None:
    started = compose(folder, f"--profile={PROFILES[name]}", "config", "--services").split()
    assert set(started) == SERVICES | {name}


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("redis", "redis:7"),
        ("postgres", "postgres:15-alpine"),
        ("qdrant", "qdrant/qdrant:v1.19."),
        ("redpanda", "redpandadata/redpanda:v"),
    ],
)
def test_images_of_others_are_pinned_by_tag(model: Model, name: str, image: str) -> None:
    assert model["services"][name]["image"].startswith(image)


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("api", [("9595", 9595)]),
        ("postgres", [("5433", 5433)]),
        ("test_api", [("8888", 8888)]),
        ("dev_api", [("9596", 9596)]),
        ("redis", []),
        ("qdrant", []),
        ("redpanda", []),
        ("consumer", []),
    ],
)
def test_ports_are_published_as_users_know_them(
    model: Model, name: str, published: list[tuple[str, int]]
) -> None:
    assert ports(model["services"][name]) == published


@pytest.mark.parametrize("name", ["api", "postgres", *PROFILES])
def test_what_is_published_is_reached_from_this_machine_alone(model: Model, name: str) -> None:
    assert [port["host_ip"] for port in model["services"][name]["ports"]] == ["127.0.0.1"]


def test_the_api_is_opened_to_others_by_one_variable_and_the_database_is_not(
    folder: Path,
) -> None:
    services = rendered(folder, SOMA_BIND="0.0.0.0")["services"]  # noqa: S104 - what is asked for
    hosts = {name: services[name]["ports"][0]["host_ip"] for name in ("api", "postgres")}
    assert hosts == {"api": "0.0.0.0", "postgres": "127.0.0.1"}  # noqa: S104 - as above


def test_the_same_servers_run_here_in_a_cluster_and_in_ci(model: Model) -> None:
    chart = document("helm/values.yaml")
    for name in BACKING:
        assert chart[name]["image"] == model["services"][name]["image"]
    [qdrant] = [
        job["services"]["qdrant"]["image"]
        for job in document(".github/workflows/test.yml")["jobs"].values()
        if "services" in job
    ]
    assert qdrant == chart["qdrant"]["image"]


@pytest.mark.parametrize("name", sorted(SERVICES | PROFILES.keys()))
def test_a_machine_with_one_processor_is_enough_when_that_is_said(
    model: Model, folder: Path, name: str
) -> None:
    # The engine refuses a container that may use more processors than there are.
    assert model["services"][name]["deploy"]["resources"]["limits"]["cpus"] in {1, 2}
    for asked in (1, 2.5):
        service = rendered(folder, SOMA_CPUS=str(asked))["services"][name]
        assert service["deploy"]["resources"]["limits"]["cpus"] == asked


def test_the_stream_keeps_what_it_has_acknowledged(model: Model) -> None:
    # The mode for development writes nothing through to the disk.
    command = " ".join(model["services"]["redpanda"]["command"])
    assert "dev-container" not in command
    assert "bypass-fsync" not in command


def test_postgresql_is_not_well_while_it_is_being_initialised(model: Model) -> None:
    # Meanwhile it listens on its socket alone.
    assert "-h 127.0.0.1" in model["services"]["postgres"]["healthcheck"]["test"][1]


def test_a_password_of_ones_own_is_that_of_the_database(folder: Path) -> None:
    chosen = {"POSTGRES_PASSWORD": "chosen"}
    services = rendered(folder, **chosen)["services"]
    assert services["postgres"]["environment"].items() >= chosen.items()


def test_nothing_that_the_file_asks_for_is_taken_for_a_setting_of_the_server() -> None:
    # Compose reads them from `.env`, and hands all of `.env` to the server, which refuses
    # names that begin with SFM_ and that it does not know.
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(\w+)", text))
    known = {variable_of(name) for name in Settings.model_fields}
    assert asked
    assert [name for name in sorted(asked) if name.startswith("SFM_") and name not in known] == []


@pytest.mark.parametrize("name", sorted(SERVICES | PROFILES.keys()))
def test_each_service_has_a_name_a_health_check_and_bounds(model: Model, name: str) -> None:
    service = model["services"][name]
    assert service["container_name"] == f"soma_{name}"
    assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory"}
    assert service["environment"]["POSTGRES_URL"], "it does not read .env"


@pytest.mark.parametrize("name", ["api", "consumer", *PROFILES])
def test_ours_wait_until_what_they_need_is_well(model: Model, name: str) -> None:
    needed = model["services"][name]["depends_on"]
    assert {one: how["condition"] for one, how in needed.items()} == dict.fromkeys(
        BACKING, "service_healthy"
    )


@pytest.mark.parametrize("name", ["api", "consumer", *PROFILES])
def test_ours_are_one_image_without_rights_that_is_given_time_to_end(
    model: Model, name: str
) -> None:
    service = model["services"][name]
    assert service["image"] == model["services"]["api"]["image"]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    # UVICORN_TIMEOUT_GRACEFUL is 60.
    assert service["stop_grace_period"] == "1m15s"


@pytest.mark.parametrize(
    ("name", "volume", "target"),
    [
        ("redis", "redis_data", "/data"),
        ("qdrant", "qdrant_storage", "/qdrant/storage"),
        ("postgres", "postgres_data", "/var/lib/postgresql/data"),
        ("redpanda", "redpanda_data", "/var/lib/redpanda/data"),
    ],
)
def test_data_lie_in_named_volumes(model: Model, name: str, volume: str, target: str) -> None:
    [mounted] = model["services"][name]["volumes"]
    assert (mounted["type"], mounted["source"], mounted["target"]) == ("volume", volume, target)
    assert volume in model["volumes"]


def test_redis_keeps_what_it_has_acknowledged(model: Model) -> None:
    command = model["services"]["redis"]["command"]
    assert command == ["redis-server", "--appendonly", "yes", "--appendfsync", "always"]


def test_postgresql_listens_where_the_one_url_says_inside_and_outside(model: Model) -> None:
    postgres = model["services"]["postgres"]
    assert postgres["command"] == ["postgres", "-p", "5433"]
    assert (
        postgres["environment"].items()
        >= {
            "POSTGRES_USER": "postgres",
            "POSTGRES_PASSWORD": "postgres",
            "POSTGRES_DB": "somamemory",
        }.items()
    )
    url = model["services"]["api"]["environment"]["POSTGRES_URL"]
    assert url == "postgresql://postgres:postgres@postgres:5433/somamemory"


def test_the_dev_api_runs_the_sources_and_reloads_them(model: Model) -> None:
    service = model["services"]["dev_api"]
    assert "--reload" in service["command"]
    assert any(one["type"] == "bind" and one["read_only"] for one in service["volumes"])
    folders = [Path(entry) for entry in service["environment"]["PYTHONPATH"].split(":")]
    # And nothing else: an environment in the checkout has thousands of files to look at.
    watched = [one for one in service["command"] if one.startswith("--reload-dir=")]
    assert watched == [f"--reload-dir={folder}" for folder in folders]
    packages = {path.parent for path in ROOT.glob("sfm-*/src")}
    assert {ROOT / folder.relative_to("/src") for folder in folders} == {
        p / "src" for p in packages
    }


@pytest.mark.parametrize(("name", "value"), [("MEMORY_MODE", "embedded"), ("UVICORN_WORKERS", "1")])
def test_what_a_command_says_wins_over_the_file(folder: Path, name: str, value: str) -> None:
    found = json.loads(compose(folder, "config", "--format", "json", **{name: value}))
    assert found["services"]["api"]["environment"][name] == value


@pytest.mark.parametrize(
    ("name", "port"), [("api", "9595"), ("test_api", "8888"), ("dev_api", "9596")]
)
def test_what_a_server_beside_it_is_told_moves_no_container(
    tmp_path: Path, name: str, port: str
) -> None:
    folder = check_out(tmp_path)
    with (folder / ".env").open("a") as file:
        file.write("SFM_HOST=127.0.0.1\nSFM_PORT=9600\nSFM_DATA_FOLDER=/home/me/memory\n")

    service = rendered(folder)["services"][name]

    assert [str(target) for _, target in ports(service)] == [port]
    assert (
        service["environment"].items()
        >= {
            "SFM_HOST": "0.0.0.0",  # noqa: S104 - within the container
            "SFM_PORT": port,
            "SFM_DATA_FOLDER": service["volumes"][0]["target"],
        }.items()
    )


def test_in_a_mode_without_a_stream_the_consumer_is_well(model: Model) -> None:
    assert model["services"]["consumer"]["command"] == ["consumer", "--or-idle"]


def test_the_override_of_the_page_lets_the_machine_reach_every_store(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "how-to" / "run-with-compose.md").read_text(encoding="utf-8")
    [override] = re.findall(r"^```yaml\n(services:.*?)^```", page, re.MULTILINE | re.DOTALL)
    folder = check_out(tmp_path)
    before = rendered(folder)["services"]
    (folder / "docker-compose.override.yml").write_text(override)

    services = rendered(folder)["services"]

    published = {name: ports(services[name]) for name in sorted(BACKING)}
    assert published == {
        "postgres": [("5433", 5433)],
        "qdrant": [("6333", 6333), ("6334", 6334)],
        "redis": [("6379", 6379)],
        "redpanda": [("19092", 19092)],
    }
    assert all(one["host_ip"] == "127.0.0.1" for n in BACKING for one in services[n]["ports"])
    # What else the stream is told is what it is told without the override.
    flags = [
        [flag for flag in of["redpanda"]["command"] if "kafka-addr" not in flag]
        for of in (before, services)
    ]
    assert sorted(flags[0]) == sorted(flags[1])
