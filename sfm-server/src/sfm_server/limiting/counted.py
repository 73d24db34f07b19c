"""Whose requests are counted together."""

from __future__ import annotations

import ipaddress
from functools import lru_cache

from starlette.types import Scope

from sfm_server.access.visit import visit_of
from sfm_server.limiting.ledger import KNOWN

_IPV6_NETWORK = 64


def counted_as(scope: Scope) -> str:
    """Return whose requests are counted together: a token's, or those of an address."""
    visit = visit_of(scope)
    if visit.authority.required and visit.caller is not None:
        return KNOWN + visit.caller.id
    client = scope.get("client")
    return f"address {_network(client[0]) if client else ''}"


@lru_cache(4096)
def _network(host: str) -> str:
    """Return an address; of IPv6 the network, since whoever has one address has all of it."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), _IPV6_NETWORK), strict=False))
    return host
