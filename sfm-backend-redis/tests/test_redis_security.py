"""A server that wants TLS and a password, and modes that do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import trustme
from fix_redis import Secured
from redis_helpers import put
from redis_server import Server, secure_server, tell

from sfm_backend_redis.plugin import create_cache, create_graph, create_kv
from sfm_core.errors import BackendUnavailableError, ClosedError, ConfigurationError
from sfm_core.plugins import load_plugins
from sfm_core.protocols.kv import Committed
from sfm_core.protocols.lifecycle import Backend
from sfm_core.registry import SECURE, BackendContext, PortName
from sfm_core.testing.loopback import free_port
from sfm_core.testing.proxy import TcpProxy

LOGIN = {"REDIS_PASSWORD": "right"}
HOSTED = LOGIN | {"REDIS_HOST": "localhost", "REDIS_TLS": "true"}


def context(options: Mapping[str, str]) -> BackendContext:
    return BackendContext(data_folder=Path("unused"), options=options, secure=True)


def by_url(secured: Secured) -> dict[str, str]:
    query = f"ca_file={secured.ca_file}"
    return {"REDIS_URL": f"rediss://:{secured.password}@localhost:{secured.port}/0?{query}"}


def by_host(secured: Secured) -> dict[str, str]:
    return HOSTED | {"REDIS_PORT": str(secured.port), "REDIS_TLS_CA_FILE": str(secured.ca_file)}


@pytest.mark.smoke
@pytest.mark.parametrize("say", [by_url, by_host])
async def test_a_server_with_tls_and_password_is_used(
    secured: Secured, say: Callable[[Secured], dict[str, str]]
) -> None:
    async with create_kv(f"redis:?prefix={say.__name__}", context(say(secured))) as store:
        assert isinstance(await put(store, b"k"), Committed)


async def test_every_port_is_used_so(secured: Secured) -> None:
    chosen = context(by_host(secured))
    async with create_graph("redis:", chosen) as graph, create_cache("redis:", chosen) as cache:
        assert await graph.scroll("n", after=None, limit=1) == []
        assert await cache.get_many("n", [b"k"]) == [None]


async def test_a_certificate_that_nobody_vouches_for_is_refused(secured: Secured) -> None:
    options = HOSTED | {"REDIS_PORT": str(secured.port)}
    with pytest.raises(BackendUnavailableError, match="certificate"):
        await create_kv("redis:", context(options)).__aenter__()


async def test_the_certificate_of_another_host_is_refused(secured: Secured) -> None:
    options = by_host(secured) | {"REDIS_HOST": "127.0.0.1"}
    with pytest.raises(BackendUnavailableError, match="certificate"):
        await create_kv("redis:", context(options)).__aenter__()


async def test_a_wrong_password_is_refused(secured: Secured) -> None:
    options = by_host(secured) | {"REDIS_PASSWORD": "wrong"}
    with pytest.raises(ConfigurationError) as caught:
        await create_kv("redis:", context(options)).__aenter__()
    assert caught.value.setting == "REDIS_PASSWORD"


async def test_a_server_that_falls_silent_keeps_nobody_from_closing(secured: Secured) -> None:
    async with TcpProxy("localhost", secured.port) as proxy:
        options = by_host(secured) | {"REDIS_PORT": str(proxy.port)}
        store = create_kv("redis:?connect_timeout_seconds=3", context(options))
        async with store:
            await store.ping()
            proxy.black_hole()
        with pytest.raises(ClosedError):
            await store.ping()


@pytest.fixture
def start_secure(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Return what starts servers with TLS and passwords, all signed for by one authority."""
    authority, started = trustme.CA(), list[Server]()

    def start(password: str, *options: str, sentinel: bool = False) -> Server:
        folder = tmp_path / f"secure{len(started)}"
        folder.mkdir()
        server = secure_server(
            folder, password=password, host="127.0.0.1", authority=authority, options=options
        )
        if sentinel:
            server.options = (*server.options, "--sentinel")
        server.start()
        started.append(server)
        return server

    yield start
    for server in started:
        server.stop()


async def test_sentinels_and_their_master_may_have_tls_and_passwords_of_their_own(
    start_secure: Callable[..., Server],
) -> None:
    master = start_secure("right")
    sentinel = start_secure(
        "guarded",
        "tls-replication yes",
        f"sentinel monitor truth 127.0.0.1 {master.port} 1",
        "sentinel auth-pass truth right",
        sentinel=True,
    )
    options = {
        "REDIS_URL": f"redis+sentinel://127.0.0.1:{sentinel.port}/truth",
        "REDIS_TLS": "true",
        "REDIS_TLS_CA_FILE": str(sentinel.ca_file),
        "REDIS_SENTINEL_PASSWORD": "guarded",
    }
    async with create_kv("redis:", context(LOGIN | options)) as store:
        assert isinstance(await put(store, b"k"), Committed)
    for wrong in ("wrong", ""):
        options["REDIS_SENTINEL_PASSWORD"] = wrong
        with pytest.raises(ConfigurationError) as caught:
            await create_kv("redis:", context(LOGIN | options)).__aenter__()
        assert caught.value.setting == "REDIS_SENTINEL_PASSWORD"


async def test_a_cluster_may_have_tls_and_a_password(start_secure: Callable[..., Server]) -> None:
    lines = ("cluster-enabled yes", "tls-cluster yes", f"cluster-port {free_port()}")
    node = start_secure("right", *lines)
    url = f"rediss://:right@127.0.0.1:{node.port}?ssl_ca_certs={node.ca_file}"
    await tell(url, "CLUSTER ADDSLOTSRANGE", 0, 16383)
    # It tells nobody when it is ready.
    while "'cluster_state': 'ok'" not in str(await tell(url, "CLUSTER INFO")):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    options = {
        "REDIS_URL": f"redis+cluster://127.0.0.1:{node.port}",
        "REDIS_TLS": "true",
        "REDIS_TLS_CA_FILE": str(node.ca_file),
    }
    async with create_kv("redis:", context(LOGIN | options)) as store:
        assert isinstance(await put(store, b"k"), Committed)


@pytest.mark.parametrize("create", [create_kv, create_graph, create_cache])
@pytest.mark.parametrize(
    ("url", "options", "setting"),
    [
        ("redis:", {}, "REDIS_URL"),
        ("redis:", LOGIN | {"REDIS_URL": "redis://host"}, "REDIS_URL"),
        ("redis:", LOGIN | {"REDIS_URL": "unix:///run/redis.sock"}, "REDIS_URL"),
        ("redis:", LOGIN | {"REDIS_URL": "redis+sentinel://host/service"}, "REDIS_URL"),
        ("redis:", LOGIN | {"REDIS_HOST": "host"}, "REDIS_TLS"),
        ("redis:", {"REDIS_URL": "rediss://host"}, "REDIS_PASSWORD"),
        ("redis:", {"REDIS_HOST": "host", "REDIS_TLS": "true"}, "REDIS_PASSWORD"),
        ("rediss:", {"REDIS_HOST": "host"}, "REDIS_PASSWORD"),
        ("rediss://host", {}, "REDIS_PASSWORD"),
    ],
)
def test_what_is_not_secure_is_refused_where_that_is_required(
    create: Callable[[str, BackendContext], Backend],
    url: str,
    options: dict[str, str],
    setting: str,
) -> None:
    with pytest.raises(ConfigurationError, match="this mode requires") as caught:
        create(url, context(options))
    assert caught.value.setting == setting


@pytest.mark.parametrize(
    ("create", "setting"),
    [(create_kv, "SFM_KV_URL"), (create_graph, "SFM_GRAPH_URL"), (create_cache, "SFM_CACHE_URL")],
)
def test_a_plaintext_url_is_refused_under_its_own_name(
    create: Callable[[str, BackendContext], Backend], setting: str
) -> None:
    with pytest.raises(ConfigurationError, match="this mode requires") as caught:
        create("redis://host", context(LOGIN))
    assert caught.value.setting == setting


@pytest.mark.parametrize(
    "url",
    [
        "rediss://host",
        "redis+sentinel://host/service?tls=true",
        "redis+cluster://host?tls=true",
        "rediss:?prefix=x",
    ],
)
def test_every_encrypted_form_with_a_password_is_accepted(url: str) -> None:
    assert create_kv(url, context(LOGIN)).shared


@pytest.mark.parametrize("port", [PortName.KV, PortName.GRAPH, PortName.CACHE])
def test_the_backends_say_that_they_can_be_held_to_it(port: PortName) -> None:
    offered = [found for found in load_plugins().registry if found.port is port]
    ours = [found for found in offered if found.distribution.endswith("-redis")]
    assert {SECURE in found.capabilities for found in ours} == {True}
