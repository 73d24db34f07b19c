"""Types that requests and answers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

TypeName = Literal["episodic", "semantic"]
Json = Mapping[str, object]
