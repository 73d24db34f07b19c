"""Roles, and who is allowed what in which namespaces."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

EVERY_NAMESPACE = ""
"""The prefix of all names."""


class Role(StrEnum):
    """What somebody may do; each role includes those before it."""

    READER = "reader"
    """Recall, read, count, follow events."""
    WRITER = "writer"
    """Store, change, link and delete one thing at a time or in a batch."""
    ADMIN = "admin"
    """Export, import, delete in bulk, replay; with every namespace, look after the stores."""

    def includes(self, other: Role) -> bool:
        """Tell whether this role may do what another one may."""
        return _RANKS[self] >= _RANKS[other]


_RANKS = {role: rank for rank, role in enumerate(Role)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A role in namespaces.

    Names are compared code point by code point: what only looks alike is another name.

    Attributes:
        role: The role.
        namespaces: Names of namespaces.
        prefixes: What names of other namespaces begin with; "" for all there are.
    """

    role: Role
    namespaces: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()

    def covers(self, namespace: str) -> bool:
        """Tell whether it is about a namespace."""
        return namespace in self.namespaces or namespace.startswith(self.prefixes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who a request comes from.

    Attributes:
        id: Name of the token, for logs and counts; it is no secret.
        grants: What is allowed.
        expires_at: Until when.
        digest: What the token is known by; never shown.
    """

    id: str
    grants: tuple[Grant, ...]
    expires_at: datetime | None = None
    digest: str = field(default="", repr=False)

    def may(self, role: Role, namespace: str) -> bool:
        """Tell whether a role is held in a namespace."""
        return any(one.role.includes(role) and one.covers(namespace) for one in self.grants)

    def may_somewhere(self, role: Role) -> bool:
        """Tell whether a role is held in any namespace."""
        return any(one.role.includes(role) for one in self.grants)

    def may_everywhere(self, role: Role) -> bool:
        """Tell whether a role is held in all namespaces, those to come included."""
        return any(
            one.role.includes(role) and EVERY_NAMESPACE in one.prefixes for one in self.grants
        )

    def seen(self, namespaces: Iterable[str], role: Role = Role.READER) -> list[str]:
        """Return the namespaces in which a role is held."""
        return [name for name in namespaces if self.may(role, name)]

    def home(self, default: str) -> str:
        """Return the namespace of a request that names none.

        Args:
            default: The server's.

        Returns:
            The server's, where the caller has any role in it; otherwise the
            one namespace that the caller is bound to; or the server's again.
        """
        if self.may(Role.READER, default):
            return default
        names = {name for one in self.grants for name in one.namespaces}
        bound = not any(one.prefixes for one in self.grants)
        return names.pop() if bound and len(names) == 1 else default


ANYONE = Caller(id="anyone", grants=(Grant(role=Role.ADMIN, prefixes=(EVERY_NAMESPACE,)),))
"""Whoever calls a server without authentication."""
