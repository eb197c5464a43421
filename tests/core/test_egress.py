"""Which addresses may be connected to: every special network of the IANA registries is refused."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskbell.egress import EgressPolicy


def listed(table: str) -> list[str]:
    return table.split()


REFUSED = listed("""
0.0.0.0 0.0.0.1 0.255.255.255
10.0.0.0 10.0.0.1 10.255.255.255
100.64.0.0 100.64.0.1 100.127.255.255
127.0.0.1 127.0.0.53 127.1.2.3 127.255.255.255
169.254.0.1 169.254.169.254 169.254.170.2 169.254.255.255
172.16.0.0 172.16.0.1 172.31.255.255
192.0.0.0 192.0.0.8 192.0.0.9 192.0.0.10 192.0.0.170 192.0.0.192 192.0.0.255
192.0.2.0 192.0.2.255
192.88.99.0 192.88.99.1 192.88.99.255
192.168.0.0 192.168.1.1 192.168.255.255
198.18.0.0 198.18.0.1 198.19.255.255
198.51.100.0 198.51.100.255
203.0.113.0 203.0.113.255
224.0.0.1 224.0.0.251 239.255.255.250
240.0.0.0 250.1.2.3 255.255.255.254 255.255.255.255
168.63.129.16
:: ::1 ::2 ::7f00:1 ::10.0.0.1 ::8.8.8.8
::ffff:0.0.0.0 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:169.254.169.254 ::ffff:192.168.0.1 ::ffff:a9fe:a9fe
::ffff:168.63.129.16
64:ff9b::1 64:ff9b::127.0.0.1 64:ff9b::169.254.169.254 64:ff9b::8.8.8.8
64:ff9b:1::1 64:ff9b:1:ffff::1
100:: 100::1
2001:: 2001::1 2001:0:4136:e378:8000:63bf:3fff:fdd2 2001:1::1 2001:2::1 2001:10::1 2001:20::1 2001:1ff:ffff::1
2001:db8:: 2001:db8::1 2001:db8:ffff::1
2002:: 2002:7f00:1::1 2002:a9fe:a9fe::1 2002:808:808::1
3fff:: 3fff:fff::1
5f00::1
fc00:: fc00::1 fd00::1 fd00:ec2::254 fdff:ffff::1
fe80:: fe80::1 fe80::1%eth0 febf::1
fec0:: fec0::1 feff::1
ff00:: ff01::1 ff02::1 ff05::2 ff0e::1
::ffff:0:127.0.0.1 ::ffff:0:a9fe:a9fe ::1:0:0:1 64:ff9b:2::1 1::1 200::1 400::1 1fff:ffff::1 4000::1 8000::1 e000::1
""")

ALLOWED = listed("""
1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 162.159.138.232
168.63.129.15 168.63.129.17 169.253.255.255 169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.0 192.0.3.0
192.167.255.255 192.169.0.0 198.17.255.255 198.20.0.0 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
::ffff:8.8.8.8 2001:200::1 2001:4860:4860::8888 2003::1 2606:4700:4700::1111 2a00:1450:4001::200e 3ffe::1
""")


def refusal(
    host: str, *, allowed: tuple[str, ...] = (), own: frozenset[tuple[str, int]] = frozenset()
) -> str:
    policy = EgressPolicy(tuple(ip_network(network) for network in allowed), own)
    return policy.refusal(host, 443)


def test_the_table_is_as_long_as_it_should_be() -> None:
    assert len(set(REFUSED)) >= 80


@pytest.mark.parametrize("host", REFUSED)
def test_special_addresses_are_refused_in_words(host: str) -> None:
    assert "is not a public address; list its network under egress.allow" in refusal(host)


@pytest.mark.parametrize("host", ALLOWED)
def test_public_addresses_are_allowed(host: str) -> None:
    assert refusal(host) == ""


@pytest.mark.parametrize(
    ("host", "allowed", "permitted"),
    [
        ("10.1.2.3", "10.1.0.0/16", True),
        ("10.2.2.3", "10.1.0.0/16", False),
        ("::ffff:10.1.2.3", "10.1.0.0/16", True),  # the same address, in other clothes
        ("10.1.2.3", "::/0", False),
        ("fd00::1", "fd00::/8", True),
        ("fd00::1", "0.0.0.0/0", False),
        ("fe80::1%eth0", "fe80::/10", True),
        ("169.254.169.254", "169.254.169.254/32", True),
        ("127.0.0.1", "10.0.0.0/8", False),
    ],
)
def test_the_owner_allows_exactly_the_networks_that_he_lists(
    host: str, allowed: str, permitted: bool
) -> None:
    assert (refusal(host, allowed=(allowed,)) == "") is permitted


def test_an_own_channel_is_one_address_with_one_port() -> None:
    policy = EgressPolicy(own_channels=frozenset({("127.0.0.1", 4000)}))
    assert policy.refusal("127.0.0.1", 4000) == ""
    assert policy.refusal("127.0.0.1", 4001)
    assert policy.refusal("127.0.0.2", 4000)
    assert policy.refusal("::1", 4000)


@given(st.ip_addresses(network="10.0.0.0/8") | st.ip_addresses(network="fc00::/7"))
def test_no_private_address_gets_through_in_any_notation(address: object) -> None:
    assert refusal(str(address))
    if "." in str(address):
        assert refusal(f"::ffff:{address}")
