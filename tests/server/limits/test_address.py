"""Whose address a request has, with and without proxies, honest and not."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request

from server.limits.address import UNKNOWN, ClientAddresses, canonical, client_address, counted

PROXIES = ("127.0.0.0/8", "::1/128", "10.0.0.0/8", "2001:db8:ffff::/48")


class Transport:
    """A connection from somewhere."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._peer if name == "peername" else default


def request(peer: str | None, *forwarded: str) -> Any:
    """A request from a peer, with so many X-Forwarded-For headers."""
    headers = [("X-Forwarded-For", value) for value in forwarded]
    transport = Transport((peer, 1234) if peer is not None else "")
    return make_mocked_request("GET", "/", headers=headers, transport=transport)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.1", [], "192.0.2.1"),
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),  # nobody whom we know says so
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),  # the first was there before our proxy
        ("127.0.0.1", ["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1, 10.0.0.7, 10.0.0.8"], "198.51.100.1"),  # three proxies of ours
        ("127.0.0.1", ["198.51.100.1, 203.0.113.9, 10.0.0.8"], "203.0.113.9"),
        ("127.0.0.1", ["10.0.0.7"], "10.0.0.7"),  # a client within
        ("127.0.0.1", [""], "127.0.0.1"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1, <script>"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1, 10.0.0.7, _hidden"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1," + "9" * 5_000], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("127.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("127.0.0.1", ["2001:DB8:0::1"], "2001:db8::1"),
        ("::1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:127.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("2001:db8:ffff::2", ["2001:db8::1"], "2001:db8::1"),
        ("fe80::1%eth0", ["198.51.100.1"], "fe80::1"),
        (None, ["198.51.100.1"], UNKNOWN),
    ],
)
def test_address(peer: str | None, forwarded: list[str], client: str) -> None:
    asked = request(peer, *forwarded)
    assert client_address(asked) == UNKNOWN
    assert ClientAddresses(PROXIES).of(asked) == client
    assert client_address(asked) == client


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert ClientAddresses(()).of(request("127.0.0.1", "198.51.100.1")) == "127.0.0.1"


@pytest.mark.parametrize(
    "text", ["", "a", "1.2.3", "1.2.3.4.5", "::g", "[", "1.2.3.4/8", "127.1", "0x7f.0.0.1", "١.1.1.1"]
)
def test_what_is_no_address(text: str) -> None:
    assert canonical(text) == UNKNOWN


def test_what_is_counted_of_an_address() -> None:
    assert counted("192.0.2.1") == "192.0.2.1"
    assert counted(UNKNOWN) == UNKNOWN
    assert counted("2001:db8:1:2:3:4:5:6") == counted("2001:db8:1:2::1") == "2001:db8:1:2::/64"
    assert counted("2001:db8:1:3::1") != counted("2001:db8:1:2::1")
