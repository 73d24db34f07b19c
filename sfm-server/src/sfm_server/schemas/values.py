"""Types that requests and answers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from msgspec import UNSET, UnsetType
from pydantic import GetPydanticSchema

TypeName = Literal["episodic", "semantic"]
Json = Mapping[str, object]
_Flag = Annotated[
    bool | UnsetType,
    # It is never written unless it is a truth value.
    GetPydanticSchema(lambda _source, schema_of: schema_of(bool)),
]
Stale = _Flag
"""Whether writes that `min_position` names may be missing still; left out where it is not given."""

Incomplete = _Flag
"""True while what was searched is being built or compared with the truth; left out otherwise."""

LeftOut = Annotated[
    Mapping[str, str] | UnsetType,
    GetPydanticSchema(lambda _source, schema_of: schema_of(dict[str, str])),
]
"""The searches that were left out, with the reason of each; left out where no deadline is given."""


Cursor = Annotated[
    str | UnsetType,
    GetPydanticSchema(lambda _source, schema_of: schema_of(str)),
]
"""What asks for the next page; left out on the last."""


def unasked() -> UnsetType:
    """Return the value of a field that is left out."""
    return UNSET
