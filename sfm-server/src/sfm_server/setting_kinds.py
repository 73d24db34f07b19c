"""What settings are made of: kinds of values, and the rule for names."""

from __future__ import annotations

from typing import Annotated

from pydantic import AliasGenerator, BeforeValidator, ConfigDict, Field

PREFIX = "SFM_"
_MAX_SECONDS = 10 * 365 * 86_400


def split(value: object) -> object:
    """Return the elements of a text with commas between them; leave anything else as it is."""
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


Names = Annotated[tuple[str, ...], BeforeValidator(split)]
Weights = Annotated[
    tuple[Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)], ...], BeforeValidator(split)
]
Share = Annotated[float, Field(ge=0, le=1)]
Weight = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=_MAX_SECONDS)]
Count = Annotated[int, Field(ge=1, le=2**31)]

MODEL = ConfigDict(
    frozen=True,
    extra="forbid",
    populate_by_name=True,
    alias_generator=AliasGenerator(validation_alias=lambda name: f"{PREFIX}{name.upper()}"),
)
"""A field is set by `SFM_` + its name in capitals, unless it names another variable."""
