"""Limits on sockets: how often they are opened, enter namespaces, and send commands."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import orjson
import pytest
from prometheus_client import REGISTRY

from server.realtime import packets
from server.realtime.packets import Head
from tests.server.realtime.conftest import Market, Open
from tests.server.realtime.wire import Wire


def refused(answer: dict[str, Any]) -> bool:
    """Whether an ack is a refusal for coming too often, whose form is checked."""
    if answer["ok"]:
        return False
    error = answer["error"]
    assert (error["code"], error["retryable"]) == ("RATE_LIMITED", True)
    assert error["details"]["retry_after_ms"] > 0
    return True


def counted(command: str, code: str = "RATE_LIMITED") -> float:
    """Commands so answered."""
    labels = {"namespace": "/market", "command": command, "code": code}
    return REGISTRY.get_sample_value("socket_commands_total", labels) or 0.0


async def limited(open_market: Open, **settings: Any) -> Market:
    """An instance with limits; commands are rare unless a test says otherwise."""
    return await open_market(rate_limits=True, **settings)


async def test_a_flood_is_refused_and_neighbours_do_not_notice(
    open_market: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand commands at once from one socket, on the limits as they come."""
    market = await limited(open_market)
    parsed = 0
    arguments = packets.arguments

    def counting(text: str, head: Head) -> list[Any]:
        nonlocal parsed
        parsed += 1
        return arguments(text, head)

    monkeypatch.setattr("server.realtime.peer.arguments", counting)
    flooder = await market.member(auth={"token": market.token("ann")})
    neighbour = await market.member(auth={"token": market.token("bob", "s2")})
    before, parsed = counted("add"), 0
    numbers = [await flooder.start("add", {"stream": "tally:a", "n": 1}) for _ in range(1_000)]
    assert (await neighbour.command("add", {"stream": "tally:b", "n": 1}))["ok"]
    answers = [await flooder.ack(number) for number in numbers]
    allowed = [answer for answer in answers if not refused(answer)]
    assert 300 <= len(allowed) < 900  # 300 at once, then five a second
    assert [answer["total"] for answer in allowed] == list(range(1, len(allowed) + 1))
    assert counted("add") == before + 1_000 - len(allowed)
    assert parsed == len(allowed) + 1  # what is refused is not even parsed
    assert (await neighbour.command("add", {"stream": "tally:b", "n": 1}))["total"] == 2


async def test_a_user_has_one_bucket_on_all_sockets_and_transports(open_market: Open) -> None:
    market = await limited(open_market, rate_commands={"add": "4/h"})
    auth = {"token": market.token("ann")}
    wires = [await market.member(transport, auth=auth) for transport in ("websocket", "polling", "websocket")]
    answers = [await wires[turn % 3].command("add", {"stream": "tally:a", "n": 1}) for turn in range(6)]
    assert [refused(answer) for answer in answers] == [False] * 4 + [True] * 2
    other = await market.member(auth={"token": market.token("bob", "s2")})
    assert (await other.command("add", {"stream": "tally:a", "n": 1}))["ok"]


async def test_each_command_has_its_own_bucket(open_market: Open) -> None:
    rates = {"*": "1/h", "add": "3/h", "/market add": "2/h", "/members sync_time": "9/h"}
    market = await limited(open_market, rate_commands=rates)
    wire = await market.member(auth={"token": market.token()})
    add = {"stream": "tally:a", "n": 1}
    assert [refused(await wire.command("add", add)) for _ in range(3)] == [False, False, True]
    assert [refused(await wire.command("note", {})) for _ in range(2)] == [False, True]
    assert [refused(await wire.command("sync_time", {"t0": 1})) for _ in range(2)] == [False, True]
    assert "sid" in await wire.connect("/members", {"token": market.token()})
    answers = [await wire.command("sync_time", {"t0": 1}, namespace="/members") for _ in range(3)]
    assert not any(refused(answer) for answer in answers)


async def test_commands_that_do_not_exist_share_a_bucket(open_market: Open) -> None:
    market = await limited(open_market, rate_commands={"*": "2/h"})
    wire = await market.member(auth={"token": market.token()})
    codes = [(await wire.command(f"no-{number}", {}))["error"]["code"] for number in range(4)]
    assert codes == ["UNKNOWN_COMMAND"] * 2 + ["RATE_LIMITED"] * 2


@pytest.mark.parametrize(
    "packet",
    [
        '42/market,7["\\u0061dd",{"stream":"tally:a","n":1}]',
        '42/market,7[ "add",{"stream":"tally:a","n":1}]',
        '42/market,7[\n"add"\n,{"stream":"tally:a","n":1}]',
    ],
)
async def test_nobody_passes_by_writing_it_otherwise(open_market: Open, packet: str) -> None:
    market = await limited(open_market, rate_commands={"add": "2/h"})
    wire = await market.member(auth={"token": market.token()})
    answers = []
    for _ in range(4):
        await wire.send(packet)
        answers.append(await wire.ack(7))
    assert [refused(answer) for answer in answers] == [False, False, True, True]


async def test_binary_commands_are_counted(open_market: Open) -> None:
    market = await limited(open_market, rate_commands={"add": "1/h"})
    wire = await market.member(auth={"token": market.token()})
    codes = []
    for _ in range(2):
        await wire.send('451-/market,1["add",{"_placeholder":true,"num":0}]')
        await wire.send(b"x")
        codes.append((await wire.ack(1))["error"]["code"])
    assert codes == ["VALIDATION_FAILED", "RATE_LIMITED"]


async def test_without_a_login_the_address_counts_for_several(open_market: Open) -> None:
    market = await limited(open_market, rate_commands={"add": "2/h"})
    wires = [await market.member() for _ in range(2)]
    answers = [await wires[turn % 2].command("add", {"stream": "tally:a", "n": 1}) for turn in range(25)]
    assert [refused(answer) for answer in answers] == [False] * 20 + [True] * 5
    elsewhere = await market.wire(headers={"X-Forwarded-For": "198.51.100.1"})
    assert "sid" in await elsewhere.connect()
    assert (await elsewhere.command("add", {"stream": "tally:a", "n": 1}))["ok"]


async def test_a_refused_command_without_an_ack_is_dropped(open_market: Open) -> None:
    market = await limited(open_market, rate_commands={"note": "1/h"})
    wire = await market.member(auth={"token": market.token()})
    for _ in range(3):
        await wire.send('42/market,["note",{}]')
    assert (await wire.command("sync_time", {"t0": 1}))["ok"]
    assert market.log == ["note"]


async def test_entering_namespaces_again_and_again(open_market: Open) -> None:
    market = await limited(open_market, rate_commands={"connect": "3/h"})
    wire = await market.wire()
    answers = [await wire.connect("/market", {"token": "bad"}) for _ in range(4)]
    assert answers == [{"message": "UNAUTHENTICATED"}] * 3 + [{"message": "RATE_LIMITED"}]
    other = await market.wire()
    assert "sid" in await other.connect("/market")


async def test_opening_sockets_again_and_again(open_market: Open) -> None:
    market = await limited(open_market, rate_handshakes="3/h")
    wires: list[Wire] = [await market.wire(transport) for transport in ("websocket", "polling", "polling")]
    url = f"{market.url}/socket.io/?EIO=4&transport=polling"
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as answer:
            assert answer.status == 429
            assert int(answer.headers["Retry-After"]) > 1_000
            assert orjson.loads(await answer.read()) == {"code": 3, "message": "Too many requests"}
        with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
            await http.ws_connect(url.replace("polling", "websocket"))
        assert refusal.value.status == 429
        async with http.get(url, headers={"X-Forwarded-For": "198.51.100.1"}) as answer:
            assert answer.status == 200
    for wire in wires:  # whoever is in stays in
        assert "sid" in await wire.connect()
    assert market.sockets.open_transports == 4


async def test_limits_can_be_turned_off(open_market: Open) -> None:
    market = await open_market(rate_limits=False, rate_handshakes="1/h", rate_commands={"*": "1/h", "connect": "1/h"})
    for _ in range(3):
        wire = await market.member()
        answers = await asyncio.gather(*(wire.command("sync_time", {"t0": 1}) for _ in range(1)))
        assert all(answer["ok"] for answer in answers)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('2/market,12["add",{}]', ("/market", "12", "add", 11)),
        ('2/market,["add"]', ("/market", None, "add", 9)),
        ('2["add"]', (None, None, "add", 1)),
        ('2/market,1234567890123456["add"]', None),
        ('2/market,1["ad\\u0064"]', None),
        ('2/market,1["' + "x" * 65 + '"]', None),
        ('2/market,1[7,"add"]', None),
        ('2/mar,ket,1["add"]', None),
        ('0/market,1["add"]', None),
        ('51-/market,1["add"]', None),
        ("", None),
    ],
)
def test_the_head_of_a_command(text: str, expected: tuple[str | None, str | None, str, int] | None) -> None:
    found = packets.head(text)
    assert (found and (*found.groups(), packets.start(found))) == expected
