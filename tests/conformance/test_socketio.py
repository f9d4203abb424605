"""Socket.IO v5 on the harness's namespaces: the ground of the official suite, and what it does not look at.

Pings are 25 s apart and the connect timeout is a minute, so a connection that is closed is closed for what it was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import orjson
import pytest

from tests.conformance.conftest import Harness, Open
from tests.conformance.server import CONNECT_TIMEOUT_S
from tests.server.realtime import raw
from tests.server.realtime.raw import BINARY, frame, raw_socket, text
from tests.server.realtime.wire import Closed, Wire

ways = pytest.mark.parametrize("way", ["websocket", "polling", "upgraded"])
namespaces = pytest.mark.parametrize("namespace", ["", "/custom,"])


@asynccontextmanager
async def opened(harness: Harness, way: str) -> AsyncIterator[Wire]:
    """A transport in no namespace; `upgraded` began with polling."""
    async with Wire(harness.url, "polling" if way == "upgraded" else way) as wire:
        if way == "upgraded":
            await wire.upgrade()
        yield wire


@asynccontextmanager
async def entered(harness: Harness, way: str = "websocket") -> AsyncIterator[Wire]:
    """A transport in `/`, its greeting taken."""
    async with opened(harness, way) as wire:
        assert "sid" in await wire.connect("/")
        assert await wire.receive() == '42["auth",{}]'
        yield wire


async def still(wire: Wire) -> None:
    """It is answered, and nothing was left over from before."""
    await wire.send('42["message","still here"]')
    assert await wire.receive() == '42["message-back","still here"]'


# connect


@ways
@namespaces
@pytest.mark.parametrize("auth", ["", "{}", '{"token":"123"}', '{"a":{"b":[null,true,1.5,"é"]}}'])
async def test_connect(harness: Harness, way: str, namespace: str, auth: str) -> None:
    async with opened(harness, way) as wire:
        await wire.send(f"40{namespace}{auth}")
        packet = await wire.receive()
        assert packet.startswith(f"40{namespace}{{")
        reply = orjson.loads(packet[2 + len(namespace) :])
        assert list(reply) == ["sid"]
        assert reply["sid"] != wire.opening["sid"]
        assert await wire.receive() == f'42{namespace}["auth",{auth or "{}"}]'


async def test_connect_without_a_comma(harness: Harness) -> None:
    async with opened(harness, "websocket") as wire:
        await wire.send("40/custom")
        assert (await wire.receive()).startswith('40/custom,{"sid":')
        assert await wire.receive() == '42/custom,["auth",{}]'


@ways
@pytest.mark.parametrize("name", ["/random", "/customs", "/Custom", "/custom/", "//", "/é", "/random?a=/custom"])
async def test_unknown_namespaces_are_refused(harness: Harness, way: str, name: str) -> None:
    async with opened(harness, way) as wire:
        for packet in (f"40{name}", f"40{name},", f'40{name},{{"token":"123"}}'):
            await wire.send(packet)
            answer = await wire.receive()
            assert answer.partition(",")[0] in {f"44{name}", f"44{name.partition('?')[0]}"}
            assert orjson.loads(answer.partition(",")[2]) == {"message": "Invalid namespace"}
        await wire.send("40")
        assert (await wire.receive()).startswith('40{"sid":')


async def test_a_client_that_enters_nothing_is_closed(open_harness: Open) -> None:
    """Whatever else it does; raw sessions have nothing to enter."""
    brief = await open_harness(connect_timeout_s=CONNECT_TIMEOUT_S)
    async with Wire(brief.url, "websocket") as idle, Wire(brief.url, "websocket") as refused:
        await refused.send("40/random")
        assert (await refused.receive()).startswith("44/random,")
        await asyncio.gather(idle.closing(), refused.closing())


async def test_both_namespaces_on_one_transport(harness: Harness) -> None:
    async with entered(harness) as wire:
        await wire.send('40/custom,{"token":"abc"}')
        assert (await wire.receive()).startswith('40/custom,{"sid":')
        assert await wire.receive() == '42/custom,["auth",{"token":"abc"}]'
        await wire.send('42/custom,["message","nobody answers here"]')
        await wire.send("41/custom,")
        await still(wire)
        await wire.send('42/custom,["message","to where it left"]')
        await wire.closing()


async def test_disconnect_from_all_keeps_the_transport(harness: Harness) -> None:
    async with entered(harness) as wire:
        await wire.send("41")
        await wire.send("40")
        assert (await wire.receive()).startswith('40{"sid":')
        assert await wire.receive() == '42["auth",{}]'
        await still(wire)


# messages


ARGUMENTS: Final = [
    "",
    ",1",
    ',1,"2",{"3":[true]}',
    ",null,false,[],{}",
    ',"é日\U0001f600","\\u0000\\n\\"\\\\/"',
    ",-1,0.5,1e21,123456789012345678",
    ',{"_placeholder":false,"num":0}',
    ',[[[[[[[[["deep"]]]]]]]]]',
    ',"' + "x" * 100_000 + '"',
]


@ways
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
async def test_message_comes_back(harness: Harness, way: str, arguments: str) -> None:
    async with entered(harness, way) as wire:
        await wire.send(f'42["message"{arguments}]')
        packet = await wire.receive()
        assert packet[:2] == "42"
        assert orjson.loads(packet[2:]) == orjson.loads(f'["message-back"{arguments}]')


@ways
@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
@pytest.mark.parametrize("number", ["0", "1", "456", "9007199254740991", "007"])
async def test_ack_has_the_arguments(harness: Harness, way: str, arguments: str, number: str) -> None:
    async with entered(harness, way) as wire:
        await wire.send(f'42{number}["message-with-ack"{arguments}]')
        packet = await wire.receive()
        assert packet.startswith(f"43{int(number)}[")
        assert orjson.loads(packet[packet.index("[") :]) == orjson.loads(f"[{arguments[1:]}]")


async def test_only_what_asks_for_an_ack_gets_one(harness: Harness) -> None:
    async with entered(harness) as wire:
        await wire.send('42["message-with-ack",1]')
        await wire.send('427["message",1]')
        assert await wire.receive() == '42["message-back",1]'
        await still(wire)


@ways
async def test_acks_and_messages_keep_their_order(harness: Harness, way: str) -> None:
    async with entered(harness, way) as wire:
        expected = []
        for number in range(200):
            acked = number % 3
            await wire.send(f'42{number}["message-with-ack",{number}]' if acked else f'42["message",{number}]')
            expected.append(f"43{number}[{number}]" if acked else f'42["message-back",{number}]')
        assert [await wire.receive() for _ in expected] == expected


# binary


def _placeholder(number: Any) -> dict[str, Any]:
    return {"_placeholder": True, "num": number}


@ways
@pytest.mark.parametrize("number", ["", "789"])
async def test_attachments_come_back(harness: Harness, way: str, number: str) -> None:
    event, back = ("message-with-ack", f"462-{number}[") if number else ("message", '452-["message-back",')
    places = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    async with entered(harness, way) as wire:
        for packet in (f'452-{number}["{event}",{places}', b"\x01\x02\x03", b"\x04\x05\x06"):
            await wire.send(packet)
        assert await wire.receive() == back + places
        assert await wire.receive() == b"\x01\x02\x03"
        assert await wire.receive() == b"\x04\x05\x06"
        await still(wire)


async def test_attachments_in_any_place_and_order(harness: Harness) -> None:
    sent = [[_placeholder(1)], {"a": {"b": _placeholder(0)}}, "text", _placeholder(1)]
    async with entered(harness) as wire:
        await wire.send(f'452-["message",{orjson.dumps(sent)[1:-1].decode()}]')
        for blob in (b"zero", b"one"):
            await wire.send(blob)
        kind, _, payload = await wire.take()
        assert kind == "42"
        assert payload == ["message-back", [b"one"], {"a": {"b": b"zero"}}, "text", b"one"]


async def test_attachments_of_polling_in_one_payload(harness: Harness) -> None:
    async with entered(harness, "polling") as wire:
        places = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
        packets = [f'452-["message",{places}', "bAQID", "bBAUG", '42["message","after"]']
        assert await wire.post("\x1e".join(packets)) == (200, "ok")
        packets[0] = packets[0].replace('"message"', '"message-back"')
        assert await wire.get() == [*packets[:3], '42["message-back","after"]']


async def test_pings_may_come_between_attachments(harness: Harness) -> None:
    async with raw_socket(harness.url) as client:
        await client.write(text("40"))
        for _ in range(3):
            await client.message()
        await client.write(
            text('451-["message",{"_placeholder":true,"num":0}]'),
            text("3"),
            frame(raw.PING, b"p"),
            frame(BINARY, b"\x01"),
        )
        assert await client.frame() == (raw.PONG, b"p")
        assert await client.message() == '451-["message-back",{"_placeholder":true,"num":0}]'
        assert await client.message() == b"\x01"


BAD_ATTACHMENTS: Final[dict[str, list[str | bytes]]] = {
    "one that nobody announced": [b"\x01"],
    "text in its place": ['451-["message",{"_placeholder":true,"num":0}]', '42["message",1]'],
    "another's head in its place": ['452-["message"]', b"\x01", '451-["message"]'],
    "place that is not there": ['451-["message",{"_placeholder":true,"num":1}]', b"\x01"],
    "negative place": ['451-["message",{"_placeholder":true,"num":-1}]', b"\x01"],
    "place of another type": ['451-["message",{"_placeholder":true,"num":"0"}]', b"\x01"],
    "place of a boolean": ['451-["message",{"_placeholder":true,"num":true}]', b"\x01"],
    "half a place": ['451-["message",{"_placeholder":true,"num":0.5}]', b"\x01"],
    "place without a number": ['451-["message",{"_placeholder":true}]', b"\x01"],
    "no number of them": ['45-["message"]'],
    "none of them": ['450-["message"]'],
    "no dash": ['45["message"]'],
    "negative number of them": ['45-1-["message"]'],
    "a billion": ['451000000000-["message"]'],
    "more than there may be": ['4517-["message"]'],
    "number of other digits": ['45١-["message"]'],
    "for a plain event": ['421-["message"]'],
    "for a connect": ["401-{}"],
    "reserved name": ['451-["disconnect",{"_placeholder":true,"num":0}]', b"\x01"],
    "no name": ['451-[{"_placeholder":true,"num":0}]', b"\x01"],
    "binary name": ['451-[{"_placeholder":true,"num":0},1]', b"message"],
    "bad JSON": ['451-["message",{"_placeholder":true,"num":0}', b"\x01"],
    "for a namespace that was not entered": ['451-/custom,["message",{"_placeholder":true,"num":0}]', b"\x01"],
}


@pytest.mark.parametrize("packets", BAD_ATTACHMENTS.values(), ids=BAD_ATTACHMENTS.keys())
async def test_bad_attachments_close(harness: Harness, packets: list[str | bytes]) -> None:
    async with entered(harness) as wire, entered(harness) as neighbour:
        with suppress(Closed):
            for packet in [*packets, '42["message","not to be answered"]']:
                await wire.send(packet)
        with pytest.raises(Closed):
            pytest.fail(f"was answered {await wire.receive()!r}")
        await still(neighbour)


async def test_one_attachment_too_many(harness: Harness) -> None:
    """The packet was whole, and is answered; what follows closes."""
    async with entered(harness) as wire:
        for packet in ('451-["message",{"_placeholder":true,"num":0}]', b"\x01", b"\x02"):
            await wire.send(packet)
        assert await wire.take() == ("42", "/", ["message-back", b"\x01"])
        await wire.closing()


DEPTHS: Final = (100, 250, 400, 900, 1_020, 100_000)


@pytest.mark.parametrize("depth", DEPTHS)
async def test_nesting_harms_nobody_else(harness: Harness, depth: int) -> None:
    """It is answered, ignored, or closes the connection; the neighbour is served, and nothing is left of what was closed."""
    nested = "[" * depth + "]" * depth
    for packets in ([f'42["message",{nested}]'], [f'451-["message",{nested}]', b"\x01"]):
        async with entered(harness) as neighbour:
            async with entered(harness) as wire:
                with suppress(Closed):
                    for packet in (*packets, '427["message-with-ack"]'):
                        await wire.send(packet)
                    while await wire.receive() != "437[]":
                        pass
            await still(neighbour)
        await harness.empty()


# malformed


MALFORMED: Final = {
    "no type": "4",
    "unknown type": "4abc",
    "type beyond all": '47["message"]',
    "object for an event": "42{}",
    "text for an event": '42"message"',
    "number for an event": "421",
    "nothing for an event": "42",
    "empty list": "42[]",
    "no name": "42[null]",
    "list for a name": '42[["message"]]',
    "two values": '42["message"]["message"]',
    "JSON cut off": '42["message"',
    "letters for an ack number": '42abc["message-with-ack"]',
    "negative ack number": '42-1["message-with-ack"]',
    "fraction of an ack number": '421.5["message-with-ack"]',
    "digits of another script": '42١["message-with-ack"]',
    "ack without a number": '43["x"]',
    "ack without a list": '431{"x":1}',
    "text to connect with": '40"token"',
    "list to connect with": "40[1]",
    "null to connect with": "40null",
    "error from a client": '44{"message":"x"}',
    "disconnect with data": "41{}",
    "not a number": '42["message",NaN]',
    "infinity": '42["message",-Infinity]',
    "too large": '42["message",1e400]',
    "blank before the list": '42 ["message"]',
    "line break before the list": '42\n["message"]',
    "comment": '42["message"/*x*/]',
    "trailing comma": '42["message",]',
    "single quotes": "42['message']",
    "deeper than anybody needs": '42["message",' + "[" * 100_000 + "]" * 100_000 + "]",
    **{
        f"reserved name {name}": f'42["{name}"]' for name in ("connect", "connect_error", "disconnect", "disconnecting")
    },
    **{f"reserved name {name}": f'42["{name}"]' for name in ("newListener", "removeListener")},
}


@ways
@pytest.mark.parametrize("packet", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_packets_close(harness: Harness, packet: str, way: str) -> None:
    async with entered(harness, way) as wire, entered(harness) as neighbour:
        await wire.send(packet)
        await wire.closing()
        await still(neighbour)
        assert harness.served.open_sessions == 1


@pytest.mark.parametrize("packet", ["4abc", '42["message"]', "41", '43["x"]', "44"])
async def test_whatever_comes_before_connect_closes(harness: Harness, packet: str) -> None:
    async with opened(harness, "websocket") as wire:
        await wire.send(packet)
        await wire.closing()
    await harness.empty()


async def test_nothing_is_done_after_a_malformed_packet(harness: Harness) -> None:
    """Though it came in the same segment."""
    async with raw_socket(harness.url) as client:
        await client.write(text("40"))
        for _ in range(3):
            await client.message()
        await client.write(text('42["message",1]'), text("4abc"), text('42["message",2]'))
        assert await client.message() == '42["message-back",1]'
        assert (await client.frame()).opcode == raw.CLOSE
