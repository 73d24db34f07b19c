"""What is known of a request before anything of it is done."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from starlette.types import Scope

from sfm_core.errors import SfmError
from sfm_server.access.authority import Authority
from sfm_server.access.roles import Caller, Role
from sfm_server.access.rules import Found, Rule, Where, Work
from sfm_server.problems import INVALID_TOKEN, ForbiddenError, UnauthorizedError

_KEY = "sfm.visit"
UNDECLARED = Rule(role=Role.ADMIN, where=Where.EVERYWHERE, work=Work.READ)
"""What stands for an endpoint that has no rule; nobody gets to one where tokens are needed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request: who sends it, and what it falls under.

    Attributes:
        authority: Knows whether the caller is still known.
        found: The endpoint's entry in the table of rules, or `None`.
        caller: Who sends it, or `None`.
        refusal: Why nobody is known to send it, or `None`.
    """

    authority: Authority
    found: Found | None
    caller: Caller | None
    refusal: SfmError | None = None

    @property
    def rule(self) -> Rule:
        """What the endpoint asks for."""
        return UNDECLARED if self.found is None else self.found.rule

    @property
    def required(self) -> bool:
        """Whether the endpoint needs a caller who is known."""
        return self.authority.required and self.rule.role is not None

    @property
    def sees_details(self) -> bool:
        """Whether the caller looks after the whole server, or needs no token."""
        return self.caller is not None and self.caller.may_everywhere(Role.ADMIN)

    def admitted(self) -> bool:
        """Tell whether the caller is still known, as long answers ask from time to time."""
        return self.caller is not None and self.authority.admits(self.caller)

    def readmit(self) -> None:
        """See that the caller is still known, after something that took long.

        Raises:
            UnauthorizedError: Their token has been revoked, or is too old by now.
        """
        if not self.admitted():
            raise UnauthorizedError(
                "The token was good when the request came, and is not any more.",
                challenge=INVALID_TOKEN,
                remedy="Send a valid token.",
            )

    def permits(self, namespace: str) -> bool:
        """Tell whether the caller holds the endpoint's role in a namespace."""
        return self.caller is not None and self.caller.may(self._role, namespace)

    def allowed(self, namespace: str) -> str:
        """Return a namespace that the request names.

        Args:
            namespace: Its name.

        Returns:
            The same name.

        Raises:
            ForbiddenError: The caller does not hold the endpoint's role there.
        """
        if not self.permits(namespace):
            raise ForbiddenError(
                f"The token does not hold the role {self._role} in this namespace.",
                remedy="Name a namespace that the token is for.",
            )
        return namespace

    def everywhere(self) -> None:
        """See that the caller holds the endpoint's role in every namespace.

        Raises:
            ForbiddenError: The caller does not.
        """
        if self.caller is None or not self.caller.may_everywhere(self._role):
            raise ForbiddenError(
                f"The token does not hold the role {self._role} in every namespace.",
                remedy="Use a token that does, or ask for one namespace.",
            )

    @property
    def _role(self) -> Role:
        return self.rule.role or Role.READER


def visit_of(scope: Scope) -> Visit:
    """Return what is known of a request."""
    return cast(Visit, scope[_KEY])


def endpoint_of(scope: Scope) -> str:
    """Return the path template of what a request is for; "" where there is no such endpoint.

    It is known of those too that are refused before they get there.
    """
    visit: Visit | None = scope.get(_KEY)
    return "" if visit is None or visit.found is None else visit.found.path


def remember_visit(scope: Scope, visit: Visit) -> None:
    """Keep what is known of a request, for everything that it passes afterwards."""
    scope[_KEY] = visit
