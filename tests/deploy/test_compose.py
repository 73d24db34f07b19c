"""The compose file is what users know: its services, names, ports, volumes and conditions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

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
        ("qdrant", "qdrant/qdrant:v"),
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
    packages = {path.parent for path in ROOT.glob("sfm-*/src")}
    assert {ROOT / folder.relative_to("/src") for folder in folders} == {
        p / "src" for p in packages
    }


def test_the_mode_of_a_command_wins_over_the_file(folder: Path) -> None:
    found = json.loads(compose(folder, "config", "--format", "json", MEMORY_MODE="embedded"))
    assert found["services"]["api"]["environment"]["MEMORY_MODE"] == "embedded"
