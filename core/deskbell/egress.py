"""Which addresses deskbell may connect to. Pure: it judges addresses, never names.

A name can resolve to anything, so the judgement is made on the final address of every connection.
``ipaddress.is_global`` alone is not enough and differs between Python versions; the networks it misses are
listed here, from the IANA special-purpose registries (https://www.iana.org/assignments/iana-ipv4-special-registry,
https://www.iana.org/assignments/iana-ipv6-special-registry) and RFC 6890.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

_FORBIDDEN = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # Azure's metadata service has a public address
        "::/3", "4000::/2", "8000::/1",  # all but 2000::/3, the only part of IPv6 that is given out to anybody
        "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20",
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """Public addresses, the networks the owner allows, and the exact (host, port) of channels we play ourselves."""

    allowed: tuple[Network, ...] = ()
    own_channels: frozenset[tuple[str, int]] = frozenset()

    def refusal(self, host: str, port: int) -> str:
        """Why a connection to this address is refused; empty when it may be made."""
        address = _judged(ip_address(host.partition("%")[0]))
        if (host, port) in self.own_channels or _within(address, self.allowed):
            return ""
        if address.is_global and not _within(address, _FORBIDDEN):
            return ""
        return f"{address} is not a public address; list its network under egress.allow if it is yours"


def _judged(address: Address) -> Address:
    """An IPv4 address in IPv6 clothes is judged as what it is."""
    return getattr(address, "ipv4_mapped", None) or address


def _within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address.version == network.version and address in network for network in networks)
