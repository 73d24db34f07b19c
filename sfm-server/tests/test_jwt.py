from __future__ import annotations

import base64
import hashlib
import hmac
import json
import threading
from collections.abc import Generator, Mapping
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_curve_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as new_rsa_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from sfm_core.errors import ConfigurationError
from sfm_core.testing.clock import ManualClock
from sfm_server.access.authority import Authority
from sfm_server.access.jwt_keys import NOT_BEFORE
from sfm_server.access.roles import Caller, Role
from sfm_server.problems import UnauthorizedError, UnavailableError
from sfm_server.settings import Settings

ISSUER = "https://issuer.example"
AUDIENCE = "sfm"
SOON = timedelta(minutes=5)


def rsa_key() -> RSAPrivateKey:
    return new_rsa_key(public_exponent=65537, key_size=2048)


OURS, OTHERS = rsa_key(), rsa_key()
CURVE = new_curve_key(SECP256R1())
PEM = OURS.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def jwks(**keys: RSAPrivateKey) -> bytes:
    listed: list[dict[str, object]] = [
        {**json.loads(RSAAlgorithm.to_jwk(key.public_key())), "kid": name, "alg": "RS256"}
        for name, key in keys.items()
    ]
    curve = json.loads(ECAlgorithm.to_jwk(CURVE.public_key()))
    listed.append({**curve, "kid": "curve", "alg": "ES256"})
    listed.append({"kty": "oct", "kid": "secret", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0"})
    return json.dumps({"keys": listed}).encode()


def claims(**changes: object) -> dict[str, object]:
    made: dict[str, object] = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "agent-1",
        "exp": datetime.now(UTC) + SOON,
        "role": "writer",
        "namespaces": ["a", "team/*"],
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def sign(
    content: Mapping[str, object] | None = None, *, key_id: str | None = "ours", key: object = OURS
) -> str:
    headers = None if key_id is None else {"kid": key_id}
    content = claims() if content is None else dict(content)
    return jwt.encode(dict(content), key, algorithm="RS256", headers=headers)  # type: ignore[arg-type]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime.now(UTC))


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    path = tmp_path / "keys.json"
    path.write_bytes(jwks(ours=OURS))
    return path


def authority(place: object, clock: ManualClock) -> Authority:
    settings = Settings(
        memory_mode="test", jwt_keys=str(place), jwt_issuer=ISSUER, jwt_audience=AUDIENCE
    )
    return Authority(settings, clock=clock)


async def caller_of(known: Authority, token: str) -> Caller:
    return await known.identify([(b"authorization", b"Bearer " + token.encode())])


async def is_good(known: Authority, token: str) -> bool:
    try:
        await caller_of(known, token)
    except UnauthorizedError:
        return False
    return True


@pytest.mark.parametrize(("use", "good"), [("sig", True), ("enc", False)])
async def test_only_keys_for_signatures_are_taken(
    tmp_path: Path, clock: ManualClock, use: str, *, good: bool
) -> None:
    listed: dict[str, list[dict[str, object]]] = json.loads(jwks(ours=OURS, others=OTHERS))
    listed["keys"][0]["use"] = use
    (tmp_path / "keys.json").write_text(json.dumps(listed))
    assert await is_good(authority(tmp_path / "keys.json", clock), sign()) is good


async def test_a_good_token_allows_what_its_claims_say(keys: Path, clock: ManualClock) -> None:
    caller = await caller_of(authority(keys, clock), sign())
    assert caller.may(Role.WRITER, "a")
    assert caller.may(Role.READER, "team/b")
    assert not caller.may(Role.READER, "b")
    assert not caller.may(Role.ADMIN, "a")
    assert "agent-1" not in caller.id


@pytest.mark.parametrize(
    ("changes", "allows"),
    [
        ({"role": ["reader", "unknown"]}, True),
        ({"namespaces": "a"}, True),
        ({"role": None}, False),
        ({"role": "root"}, False),
        ({"role": {"writer": True}}, False),
        ({"namespaces": None}, False),
        ({"namespaces": [7, ""]}, False),
        ({"namespaces": "a b"}, False),
    ],
)
async def test_claims_that_say_nothing_allow_nothing(
    keys: Path, clock: ManualClock, changes: dict[str, object], *, allows: bool
) -> None:
    caller = await caller_of(authority(keys, clock), sign(claims(**changes)))
    assert caller.may(Role.READER, "a") is allows


# So far away that they are so as long as the tests run.
PAST, FUTURE = datetime.now(UTC) - timedelta(days=1), datetime.now(UTC) + timedelta(days=1)


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://else.example"},
        {"iss": None},
        {"aud": "else"},
        {"aud": None},
        {"sub": None},
        {"exp": PAST},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": FUTURE},
        {"iat": FUTURE},
        {"exp": 10**30},
    ],
)
async def test_a_token_for_somebody_or_some_time_else_is_refused(
    keys: Path, clock: ManualClock, changes: dict[str, object]
) -> None:
    assert not await is_good(authority(keys, clock), sign(claims(**changes)))


def unsigned() -> str:
    return jwt.encode(claims(), "", algorithm="none", headers={"kid": "ours"})


def signed_with_the_public_key() -> str:
    # The library refuses to make one, so it is put together by hand.
    return forged(sign().split(".")[1], PEM)


def forged(body: str, secret: bytes) -> str:
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","kid":"ours","typ":"JWT"}').rstrip(b"=")
    said = head + b"." + body.encode()
    signature = base64.urlsafe_b64encode(hmac.digest(secret, said, hashlib.sha256)).rstrip(b"=")
    return (said + b"." + signature).decode()


def changed_after_signing() -> str:
    head, body, signature = sign().split(".")
    return ".".join((head, body[:-2] + ("A" if body[-2] != "A" else "B") + body[-1], signature))


@pytest.mark.parametrize(
    "token",
    [
        unsigned(),
        signed_with_the_public_key(),
        changed_after_signing(),
        sign(key=OTHERS),
        sign(key_id="nobody"),
        sign(key_id="secret"),
        sign(key_id="curve"),
        sign(key_id=None),
        sign()[:-10],
        "a.b.c",
        "..",
        "é.é.é",
        "x" * 20_000 + "..",
    ],
)
async def test_a_forged_token_is_refused(keys: Path, clock: ManualClock, token: str) -> None:
    assert not await is_good(authority(keys, clock), token)


async def test_a_single_key_needs_no_id(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(PEM)
    known = authority(path, clock)
    assert await is_good(known, sign(key_id=None))
    assert not await is_good(known, signed_with_the_public_key())


async def test_a_curve_s_signature_is_taken(keys: Path, clock: ManualClock) -> None:
    token = jwt.encode(claims(), CURVE, algorithm="ES256", headers={"kid": "curve"})
    assert await is_good(authority(keys, clock), token)


async def test_who_was_known_is_known_until_the_token_expires(
    keys: Path, clock: ManualClock
) -> None:
    known = authority(keys, clock)
    caller = await caller_of(known, sign())
    assert known.admits(caller)
    await clock.advance(SOON + timedelta(minutes=1))
    assert not known.admits(caller)


@pytest.mark.parametrize("setting", ["jwt_issuer", "jwt_audience"])
def test_keys_without_issuer_or_audience_are_refused(keys: Path, setting: str) -> None:
    given = {"jwt_issuer": ISSUER, "jwt_audience": AUDIENCE, "jwt_keys": str(keys)}
    del given[setting]
    with pytest.raises(ConfigurationError) as caught:
        Authority(Settings.model_validate({"memory_mode": "test", **given}))
    assert caught.value.setting == f"SFM_{setting.upper()}"


@pytest.mark.parametrize("content", [b"", b"{", b'{"keys": []}', b"hello", b"{}"])
def test_a_file_without_keys_is_refused(tmp_path: Path, clock: ManualClock, content: bytes) -> None:
    path = tmp_path / "keys"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError):
        authority(path, clock)


def test_keys_do_not_come_over_an_open_line(clock: ManualClock) -> None:
    with pytest.raises(ConfigurationError):
        authority("http://issuer.example/keys", clock)


class Publisher(ThreadingHTTPServer):
    """Serves keys, and counts how often."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.content = jwks(ours=OURS)
        self.status = 200
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/keys"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        assert isinstance(self.server, Publisher)
        self.server.asked += 1
        self.send_response(self.server.status)
        self.end_headers()
        self.wfile.write(self.server.content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
        del format, args


class TestPublishedKeys:
    @pytest.fixture
    def publisher(self, monkeypatch: pytest.MonkeyPatch) -> Generator[Publisher]:
        # It answers from this process, which may be slow.
        monkeypatch.setattr("sfm_server.access.jwt_keys.DEADLINE", timedelta(minutes=1))
        with Publisher() as made:
            thread = threading.Thread(target=made.serve_forever)
            thread.start()
            yield made
            made.shutdown()
            thread.join()

    async def test_they_are_fetched_once(self, publisher: Publisher, clock: ManualClock) -> None:
        known = authority(publisher.url, clock)
        assert {await is_good(known, sign()) for _ in range(20)} == {True}
        assert publisher.asked == 1

    async def test_a_new_key_is_fetched_when_it_is_named(
        self, publisher: Publisher, clock: ManualClock
    ) -> None:
        known = authority(publisher.url, clock)
        assert await is_good(known, sign())
        publisher.content = jwks(new=OTHERS)
        await clock.advance(NOT_BEFORE)
        assert await is_good(known, sign(key=OTHERS, key_id="new"))
        assert not await is_good(known, sign())

    async def test_made_up_keys_do_not_keep_us_asking(
        self, publisher: Publisher, clock: ManualClock
    ) -> None:
        known = authority(publisher.url, clock)
        for number in range(50):
            assert not await is_good(known, sign(key_id=f"made up {number}"))
        assert publisher.asked == 1
        assert await is_good(known, sign())

    async def test_what_was_fetched_serves_while_they_cannot_be_had(
        self, publisher: Publisher, clock: ManualClock
    ) -> None:
        known = authority(publisher.url, clock)
        assert await is_good(known, sign())
        publisher.status = 500
        await clock.advance(timedelta(minutes=20))
        assert await is_good(known, sign(claims(exp=datetime.now(UTC) + timedelta(hours=1))))
        assert publisher.asked == 2

    async def test_before_the_first_fetch_nobody_can_be_known(
        self, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.content = b"not a key in sight"
        known = authority(publisher.url, clock)
        for _ in range(5):
            with pytest.raises(UnavailableError):
                await caller_of(known, sign())
        assert publisher.asked == 1

    @pytest.mark.parametrize("status", [200, 404, 500])
    async def test_the_log_shows_no_password_of_where_they_cannot_be_had(
        self,
        publisher: Publisher,
        clock: ManualClock,
        caplog: pytest.LogCaptureFixture,
        status: int,
    ) -> None:
        publisher.status, publisher.content = status, b"not a key in sight"
        known = authority(publisher.url.replace("://", "://svc:canary@"), clock)
        with pytest.raises(UnavailableError):
            await caller_of(known, sign())
        ours = "\n".join(one.getMessage() for one in caplog.records if "sfm_" in one.name)
        assert "cannot be fetched" in ours
        assert "canary" not in ours


def test_a_malformed_url_of_keys_is_refused_at_the_start(clock: ManualClock) -> None:
    with pytest.raises(ConfigurationError, match="SFM_JWT_KEYS"):
        authority("https://svc:canary@[x/jwks", clock)


@pytest.fixture
def settings(tmp_path: Path, keys: Path) -> Settings:
    return Settings(
        memory_mode="test",
        data_folder=tmp_path,
        jwt_keys=str(keys),
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
    )


async def test_a_token_opens_its_namespaces_over_http(api: httpx.AsyncClient) -> None:
    headers = {"Authorization": f"Bearer {sign()}"}
    statuses = [
        (await api.get("/stats", params={"namespace": name}, headers=headers)).status_code
        for name in ("a", "team/b", "b")
    ]
    assert statuses == [200, 200, 403]
