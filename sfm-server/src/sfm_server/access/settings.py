"""Settings of access."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from sfm_server.setting_kinds import MODEL, Names, split

# Those with a shared secret are left out on purpose: a public key must never pass for one.
Algorithm = Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"]


def _sendable(token: SecretStr) -> SecretStr:
    """Refuse a token that no request can carry: what is around it is lost on the way."""
    text = token.get_secret_value()
    if text != text.strip() or not text.isprintable():
        raise PydanticCustomError(
            "token", "it begins or ends with white space, or has a line break in it"
        )
    return token


class AccessSettings(BaseModel):
    """Who may use the API."""

    model_config = MODEL

    api_token: Annotated[SecretStr, AfterValidator(_sendable)] | None = Field(
        default=None,
        validation_alias="SOMA_API_TOKEN",
        min_length=1,
        description="Bearer token that may do everything. With neither it nor SFM_TOKENS_FILE: "
        "no authentication.",
    )
    tokens_file: Path | None = Field(
        default=None,
        description="File of tokens, each with roles in namespaces; `sfm tokens` edits it, and a "
        "change counts within seconds.",
    )
    jwt_keys: str | None = Field(
        default=None,
        description="Where the keys are that JSON Web Tokens are signed with: the URL of a JWKS, "
        "or a file with one or with a public key as PEM. Unset: no such tokens are taken.",
    )
    jwt_issuer: str | None = Field(
        default=None, description="Who must have issued a JSON Web Token (`iss`)."
    )
    jwt_audience: str | None = Field(
        default=None, description="Whom a JSON Web Token must be for (`aud`)."
    )
    jwt_algorithms: Annotated[tuple[Algorithm, ...], BeforeValidator(split)] = Field(
        default=("RS256", "ES256"),
        min_length=1,
        description="Algorithms that signatures may be made with.",
    )
    jwt_leeway_seconds: float = Field(
        default=30.0, ge=0, le=3600, description="How far clocks may be apart."
    )
    jwt_role_claim: str = Field(
        default="role",
        min_length=1,
        description="Claim that holds the role, or a list with it: reader, writer or admin.",
    )
    jwt_namespaces_claim: str = Field(
        default="namespaces",
        min_length=1,
        description="Claim that holds the namespace, or a list of them; one that ends in * "
        "stands for all that begin so.",
    )
    trusted_proxies: Names = Field(
        default=(),
        description="Addresses or networks of proxies whose X-Forwarded-For is believed.",
    )
    cors_origins: Names = Field(
        default=(),
        description="Origins whose pages may use the API from a browser; * for any.",
    )
    allowed_hosts: Names = Field(
        default=(),
        description="Host names with a dot that requests may be sent to, where no token is "
        "needed and SFM_HOST is a loopback address; * for any. Others are refused, so that no "
        "page gets in by a name of its own.",
    )

    @property
    def authenticates(self) -> bool:
        """Whether requests need a token at all."""
        return not (self.api_token is None and self.tokens_file is None and self.jwt_keys is None)
