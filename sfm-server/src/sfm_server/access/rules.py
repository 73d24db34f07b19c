"""Rules about who may use an endpoint, and how the rule of a request is found."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from starlette.types import Scope

from sfm_server.access.roles import Role


class Where(StrEnum):
    """How the namespaces of a request are found."""

    NOWHERE = "nowhere"
    """It is about none."""
    QUERY = "query"
    """The query names it, or the header, or it is the default."""
    BODY = "body"
    """The body names it, or the header, or it is the default."""
    LISTED = "listed"
    """The request lists them; without a list, those that the caller may see."""
    LINES = "lines"
    """Each line of the body names its own, or it is that of the query or header."""
    EVERYWHERE = "everywhere"
    """All of them: the role has to be held in every namespace."""


class Work(StrEnum):
    """Kinds of work, which are bounded each by itself, so that none starves another."""

    NONE = "none"
    """Not worth counting."""
    READ = "read"
    WRITE = "write"
    STREAM = "stream"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What an endpoint asks for.

    Attributes:
        role: The role that a caller needs; `None` where it is open to everybody.
        where: In which namespaces.
        work: What kind of work it is.
        rated: Whether its requests are counted against the limit per minute.
    """

    role: Role | None
    where: Where = Where.NOWHERE
    work: Work = Work.NONE
    rated: bool = True


_PARAMETER = re.compile(r"\\\{[a-z_]+\\\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The entry of the table that a request falls under.

    Attributes:
        path: Path template of the endpoint.
        rule: What it asks for.
    """

    path: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class RuleTable:
    """Finds the rule of a request, as the router finds its endpoint.

    Attributes:
        rules: Rules by method and path template.
    """

    rules: Mapping[tuple[str, str], Rule]
    _exact: dict[tuple[str, str], Found] = field(default_factory=dict[tuple[str, str], Found])
    _shaped: list[tuple[str, re.Pattern[str], Found]] = field(
        default_factory=list[tuple[str, re.Pattern[str], Found]]
    )

    def __post_init__(self) -> None:
        for (method, path), rule in self.rules.items():
            found = Found(path=path, rule=rule)
            if "{" not in path:
                self._exact[method, path] = found
                continue
            shape = _PARAMETER.sub("[^/]+", re.escape(path))
            self._shaped.append((method, re.compile(shape, re.DOTALL), found))

    def find(self, scope: Scope) -> Found | None:
        """Return what a request falls under; `None` where nothing was declared."""
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        path = _route_path(scope)
        exact = self._exact.get((method, path))
        if exact is not None:
            return exact
        for known, shape, found in self._shaped:
            if known == method and shape.fullmatch(path):
                return found
        return None


def _route_path(scope: Scope) -> str:
    """Return the path below where the application is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(f"{root}/")):
        return path[len(root) :]
    return path
