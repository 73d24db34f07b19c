"""What all bodies of requests have in common."""

from __future__ import annotations

from typing import cast

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

MAX_MEMBERS = 64
"""Far more members than any body has; each that is not known is an error of its own."""


class Body(BaseModel):
    """A JSON object with known members. An unknown one is an error, because it would do nothing."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _few(cls, sent: object) -> object:
        if _members(sent) > MAX_MEMBERS:
            raise PydanticCustomError("too_many_members", "It has too many members")
        return sent


def _members(sent: object) -> int:
    return len(cast("dict[str, object]", sent)) if isinstance(sent, dict) else 0
