"""The network guard itself."""

from __future__ import annotations

import asyncio
import socket

import pytest
import uvloop

from tests.loopback import OutsideLoopback, require_loopback

ELSEWHERE = "192.0.2.1"
"""Reserved for documentation: nobody has it."""


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.9.1", "::1", "localhost", b"localhost", None, ""])
def test_hosts_of_this_machine_are_let_through(host: object) -> None:
    require_loopback(host)


@pytest.mark.parametrize("host", [ELSEWHERE, "::2", "localhost.example", b"10.0.0.1"])
def test_other_hosts_are_refused(host: object) -> None:
    with pytest.raises(OutsideLoopback):
        require_loopback(host)


def test_a_blocking_socket_cannot_leave() -> None:
    with socket.socket() as sock:
        with pytest.raises(OutsideLoopback):
            sock.connect((ELSEWHERE, 9))
        with pytest.raises(OutsideLoopback):
            sock.connect_ex((ELSEWHERE, 9))


async def test_the_event_loop_is_uvloop_and_cannot_leave() -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, uvloop.Loop)
    with pytest.raises(OutsideLoopback):
        await asyncio.open_connection(ELSEWHERE, 9)
    with pytest.raises(OutsideLoopback):
        await loop.getaddrinfo("elsewhere.example", 80)
    with pytest.raises(OutsideLoopback):
        await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(ELSEWHERE, 9))
