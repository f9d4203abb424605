"""WebSocket framing (RFC 6455) at the session's raw echo: what is sound is answered in order, what isn't is closed by its code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import pytest

from tests.conformance.conftest import Harness
from tests.server.realtime import raw
from tests.server.realtime.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawSocket, frame, raw_socket, text

PROTOCOL_ERROR: Final = 1002
BAD_TEXT: Final = 1007
TOO_BIG: Final = 1009

PATH: Final = "/engine.io/"
LIMIT: Final = 1_000_000


@asynccontextmanager
async def echo(harness: Harness, behind: bytes = b"") -> AsyncIterator[RawSocket]:
    """A client of the raw echo, the handshake taken."""
    async with raw_socket(harness.url, PATH, behind=behind) as client:
        opening = await client.message()
        assert isinstance(opening, str)
        assert opening.startswith('0{"sid":')
        yield client


async def unharmed(client: RawSocket) -> None:
    """The connection still answers, and nothing was left over from before."""
    await client.write(text("4still here"))
    assert await client.message() == "4still here"


async def refused(client: RawSocket, *sent: bytes) -> int | None:
    """The code with which what was sent is refused; the server may cut the connection while we still write."""
    with suppress(ConnectionError):
        await client.write(*sent)
    return await client.closing()


# what is sound


@pytest.mark.parametrize("size", [0, 1, 124, 125, 126, 127, 65_534, 65_535, 65_536, LIMIT - 1])
async def test_messages_of_every_length_form(harness: Harness, size: int) -> None:
    async with echo(harness) as client:
        await client.write(text("4" + "x" * size))
        assert await client.message() == "4" + "x" * size
        data = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
        await client.write(frame(BINARY, data))
        assert await client.message() == data


async def test_any_mask_over_any_alignment(harness: Harness) -> None:
    async with echo(harness) as client:
        for mask in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x00\x00\x00\x01", b"\x80\x00\x00\x00", b"\x12\x34\x56\x78"):
            for size in range(40):
                data = bytes((size + index * 7) % 256 for index in range(size))
                await client.write(frame(BINARY, data, mask=mask))
                assert await client.message() == data


async def test_a_length_in_more_bytes_than_needed_is_read_right_or_refused(harness: Harness) -> None:
    for length in (2, 8):
        async with echo(harness) as client:
            await client.write(text("4hello", length=length))
            received = await client.frame()
            assert received == (TEXT, b"4hello") or (received.opcode, received.code) == (CLOSE, PROTOCOL_ERROR)


TEXTS: Final = (
    "4",
    "4é",
    "4日本語",
    "4\U0001f600 and \U0010ffff",
    "4\x00\x1e\x7f",
    "4\ufeff\ufffe\uffff",
    "4\u2028" * 50,
)


async def test_text_of_all_unicode(harness: Harness) -> None:
    async with echo(harness) as client:
        for sent in TEXTS:
            await client.write(text(sent))
            assert await client.message() == sent


async def test_a_message_in_two_parts_at_every_byte(harness: Harness) -> None:
    sent = "4é日\U0001f600x".encode()
    async with echo(harness) as client:
        for at in range(len(sent) + 1):
            await client.write(frame(TEXT, sent[:at], final=False), frame(CONTINUATION, sent[at:]))
            assert await client.message() == sent.decode()
            await client.write(frame(BINARY, sent[:at], final=False), frame(CONTINUATION, sent[at:]))
            assert await client.message() == sent


async def test_a_message_in_very_many_parts(harness: Harness) -> None:
    sent = "4" + "aé日\U0001f600" * 300
    data = sent.encode()
    async with echo(harness) as client:
        parts = [frame(CONTINUATION, data[index : index + 1], final=False) for index in range(1, len(data))]
        empty = [frame(CONTINUATION, b"", final=False)] * 100
        await client.write(frame(TEXT, data[:1], final=False), *parts, *empty, frame(CONTINUATION, b""))
        assert await client.message() == sent
        await unharmed(client)


async def test_control_frames_between_the_parts_of_a_message(harness: Harness) -> None:
    sent = "4é日".encode()
    async with echo(harness) as client:
        await client.write(frame(TEXT, sent[:2], final=False), frame(PING, b"one"))
        assert await client.frame() == (PONG, b"one")
        await client.write(frame(CONTINUATION, sent[2:3], final=False), frame(PONG, b"two"), frame(PING, b""))
        assert await client.frame() == (PONG, b"")
        await client.write(frame(CONTINUATION, sent[3:]))
        assert await client.message() == sent.decode()


@pytest.mark.parametrize("size", [0, 1, 124, 125])
async def test_pings_are_answered_with_their_payload(harness: Harness, size: int) -> None:
    payload = bytes(255 - index for index in range(size))
    async with echo(harness) as client:
        await client.write(frame(PING, payload))
        assert await client.frame() == (PONG, payload)
        await unharmed(client)


async def test_pongs_that_nobody_asked_for_are_ignored(harness: Harness) -> None:
    async with echo(harness) as client:
        await client.write(frame(PONG, b""), frame(PONG, b"\xff" * 125))
        await unharmed(client)


def _conversation() -> tuple[bytes, list[tuple[int, bytes]]]:
    """Frames of every kind and length form, and what must come back."""
    long = b"4" + b"l" * 200
    sent = [
        text("4hello"),
        frame(PING, b"p"),
        frame(BINARY, b"\x00\xff", mask=b"\x00\x00\x00\x00"),
        frame(TEXT, "4é".encode()[:2], final=False),
        frame(PING, b""),
        frame(CONTINUATION, "4é".encode()[2:]),
        frame(PONG, b"ignored"),
        frame(TEXT, long),
        frame(BINARY, b"", final=False),
        frame(CONTINUATION, b"end"),
        text("4"),
        frame(BINARY, b""),
    ]
    back = [(TEXT, b"4hello"), (PONG, b"p"), (BINARY, b"\x00\xff"), (PONG, b""), (TEXT, "4é".encode()), (TEXT, long)]
    back += [(BINARY, b"end"), (TEXT, b"4"), (BINARY, b"")]
    return b"".join(sent), back


async def test_frames_split_at_every_byte(harness: Harness) -> None:
    """Two segments, whose boundary moves through all of the conversation."""
    sent, back = _conversation()
    async with echo(harness) as client:
        for at in range(1, len(sent)):
            await client.write(sent[:at])
            await asyncio.sleep(0.001)  # so that they hardly ever arrive as one
            await client.write(sent[at:])
            assert [await client.frame() for _ in back] == back, at


async def test_frames_byte_by_byte(harness: Harness) -> None:
    sent, back = _conversation()
    async with echo(harness) as client:
        trickling = asyncio.ensure_future(client.trickle(sent * 3))
        assert [await client.frame() for _ in back * 3] == back * 3
        await trickling


async def test_a_thousand_frames_in_one_segment(harness: Harness) -> None:
    async with echo(harness) as client:
        sending = asyncio.ensure_future(
            client.write(*[text(f"4{number}") + frame(PING, b"%d" % number) for number in range(1_000)])
        )
        for number in range(1_000):
            assert await client.frame() == (TEXT, b"4%d" % number)
            assert await client.frame() == (PONG, b"%d" % number)
        await sending


async def test_frames_that_come_with_the_handshake(harness: Harness) -> None:
    """In one segment, before the server has agreed to anything."""
    sent, back = _conversation()
    async with echo(harness, behind=sent) as client:
        assert [await client.frame() for _ in back] == back
        await unharmed(client)
    for at in (1, 2, 6, 7):
        async with echo(harness, behind=sent[:at]) as client:
            await client.write(sent[at:])
            assert [await client.frame() for _ in back] == back


async def test_a_large_message_that_comes_with_the_handshake(harness: Harness) -> None:
    large = "4" + "x" * (LIMIT - 1)
    async with echo(harness, behind=text(large)) as client:
        assert await client.message() == large


# what is not


VIOLATIONS: Final = {
    "unmasked": text("4hello", mask=None),
    "unmasked ping": frame(PING, b"x", mask=None),
    "unmasked close": frame(CLOSE, b"", mask=None),
    **{f"reserved bits {bits:03b}": text("4hello", reserved=bits) for bits in range(1, 8)},
    "reserved bit of a ping": frame(PING, b"", reserved=4),
    "reserved bit of a continuation": frame(TEXT, b"4", final=False) + frame(CONTINUATION, b"x", reserved=4),
    **{f"opcode {opcode:X}": frame(opcode, b"4x") for opcode in (3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF)},
    "continuation of nothing": frame(CONTINUATION, b"4x"),
    "unfinished continuation of nothing": frame(CONTINUATION, b"4x", final=False),
    "continuation of what is whole": frame(PING, b"") + frame(CONTINUATION, b"4x"),
    "message within a message": frame(TEXT, b"4", final=False) + text("4x"),
    "binary within a text": frame(TEXT, b"4", final=False) + frame(BINARY, b"x"),
    "ping in two parts": frame(PING, b"x", final=False),
    "close in two parts": frame(CLOSE, b"", final=False),
    "ping of 126 bytes": frame(PING, b"x" * 126),
    "pong of 126 bytes": frame(PONG, b"x" * 126),
    "close of 126 bytes": frame(CLOSE, b"\x03\xe8" + b"x" * 124),
    "ping of 65,536 bytes": frame(PING, b"x" * 65_536),
    "half a close code": frame(CLOSE, b"\x03"),
    "negative length": bytes((0x81, 0xFF)) + b"\xff" * 8 + raw.MASK,
}


@pytest.mark.parametrize("sent", VIOLATIONS.values(), ids=VIOLATIONS.keys())
async def test_violations_are_closed_as_such(harness: Harness, sent: bytes) -> None:
    async with echo(harness) as neighbour, echo(harness) as client:
        code = await refused(client, sent, text("4not to be answered"))
        assert code == PROTOCOL_ERROR or (code == TOO_BIG and sent[1] == 0xFF)
        await unharmed(neighbour)


BAD_TEXTS: Final = {
    "lone continuation": b"4\x80",
    "cut two bytes": b"4\xc3",
    "cut four bytes": b"4\xf0\x9f\x98",
    "overlong slash": b"4\xc0\xaf",
    "overlong of three": b"4\xe0\x80\xaf",
    "overlong of four": b"4\xf0\x80\x80\xaf",
    "surrogate": b"4\xed\xa0\x80",
    "pair of surrogates": b"4\xed\xa0\xbd\xed\xb8\x80",
    "beyond Unicode": b"4\xf4\x90\x80\x80",
    "five bytes": b"4\xf8\x88\x80\x80\x80",
    "FE": b"4\xfe",
    "FF": b"4\xff",
    "after much that is sound": "4é".encode() * 1_000 + b"\xff",
}


@pytest.mark.parametrize("sent", BAD_TEXTS.values(), ids=BAD_TEXTS.keys())
async def test_text_that_is_not_utf8(harness: Harness, sent: bytes) -> None:
    async with echo(harness) as client:
        assert await refused(client, frame(TEXT, sent)) == BAD_TEXT
    async with echo(harness) as client:
        half = len(sent) // 2
        assert (
            await refused(client, frame(TEXT, sent[:half], final=False), frame(CONTINUATION, sent[half:])) == BAD_TEXT
        )
    async with echo(harness) as client:  # as binary it is nobody's business
        await client.write(frame(BINARY, sent))
        assert await client.message() == sent


TOO_LARGE: Final = {
    "a byte too many": text("4" + "x" * LIMIT),
    "characters enough, bytes too many": text("4" + "é" * (LIMIT // 2)),
    "binary": frame(BINARY, bytes(LIMIT + 1)),
    "announced only": bytes((0x82, 0xFF)) + (LIMIT + 1).to_bytes(8, "big"),
    "absurd": bytes((0x81, 0xFF)) + (2**62).to_bytes(8, "big") + raw.MASK,
    "in parts": frame(BINARY, bytes(LIMIT // 2), final=False)
    + frame(CONTINUATION, bytes(LIMIT // 2), final=False)
    + frame(CONTINUATION, b"x"),
    "in parts, announced only": frame(BINARY, bytes(10), final=False) + bytes((0x80, 0xFF)) + LIMIT.to_bytes(8, "big"),
}


@pytest.mark.parametrize("sent", TOO_LARGE.values(), ids=TOO_LARGE.keys())
async def test_messages_beyond_the_limit(harness: Harness, sent: bytes) -> None:
    async with echo(harness) as neighbour, echo(harness) as client:
        writing = asyncio.ensure_future(refused(client, sent))
        assert await writing == TOO_BIG
        await unharmed(neighbour)


# how connections end


@pytest.mark.parametrize("code", [None, 1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
async def test_a_close_is_answered(harness: Harness, code: int | None) -> None:
    async with echo(harness) as client:
        await client.write(raw.close(code, "é".encode() if code else b""), text("4too late"))
        received = await client.frame()
        assert received.opcode == CLOSE
        assert received.code in {code, 1000}
        assert await client.ended() == b""
        await harness.empty()


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535])
async def test_a_close_by_an_impossible_code(harness: Harness, code: int) -> None:
    async with echo(harness) as client:
        assert await refused(client, raw.close(code)) == PROTOCOL_ERROR


async def test_a_close_for_a_reason_that_is_not_text(harness: Harness) -> None:
    async with echo(harness) as client:
        assert await refused(client, raw.close(1000, b"\xff")) in {PROTOCOL_ERROR, BAD_TEXT}


async def test_a_close_amid_a_message(harness: Harness) -> None:
    async with echo(harness) as client:
        await client.write(frame(TEXT, b"4x", final=False), raw.close())
        assert await client.closing() == 1000
        await harness.empty()


async def test_the_server_closes_politely(harness: Harness) -> None:
    """On Engine.IO's own CLOSE; what was sent before is answered before."""
    async with echo(harness) as client:
        await client.write(text("4last words"), text("1"), text("4too late"))
        assert await client.message() == "4last words"
        received = await client.frame()
        assert (received.opcode, received.code) == (CLOSE, 1000)
        await client.write(raw.close())
        assert await client.ended() == b""
        await harness.empty()


async def test_a_client_that_does_not_answer_a_close_is_cut(harness: Harness) -> None:
    async with echo(harness) as client:
        await client.write(text("1"))
        assert (await client.frame()).opcode == CLOSE
        assert await client.ended() == b""


@pytest.mark.parametrize("sent", [b"", text("4hello")[:1], text("4hello")[:5], frame(TEXT, b"4x", final=False)])
@pytest.mark.parametrize("how", ["reset", "end"])
async def test_connections_that_end_without_a_word(harness: Harness, sent: bytes, how: str) -> None:
    async with echo(harness) as client:
        await client.write(sent)
        if how == "reset":
            client.abort()
        else:
            client.finish()
            assert await client.closing() in {None, 1002, 1006}
        await harness.empty()


async def test_a_deaf_client_that_pings_is_cut_off(harness: Harness) -> None:
    """Pongs count like everything else that waits for a client."""
    async with echo(harness) as client:
        client.deafen()
        burst = frame(PING, b"x" * 125) * 500
        with suppress(ConnectionError):
            for _ in range(1_000):
                await client.write(burst)
            pytest.fail("65 MB of pings were taken from a client that reads no pong")
        await harness.empty()


# handshakes


UPGRADES: Final[dict[str, dict[str, str | None]]] = {
    "no key": {"Sec-WebSocket-Key": None},
    "short key": {"Sec-WebSocket-Key": "AAAA"},
    "no base64": {"Sec-WebSocket-Key": "!" * 24},
    "no version": {"Sec-WebSocket-Version": None},
    "old version": {"Sec-WebSocket-Version": "8"},
    "no upgrade": {"Upgrade": None},
    "other upgrade": {"Upgrade": "h2c"},
    "no connection": {"Connection": "keep-alive"},
}


@pytest.mark.parametrize("headers", UPGRADES.values(), ids=UPGRADES.keys())
async def test_handshakes_that_are_none(harness: Harness, headers: dict[str, str | None]) -> None:
    async with raw.dial(harness.url) as (reader, writer):
        writer.write(raw.request(harness.url, f"{PATH}?EIO=4&transport=websocket", headers=headers))
        status = (await reader.readuntil(b"\r\n")).split()[1]
        assert status in {b"400", b"426"}
    await harness.empty()


async def test_names_of_headers_and_their_values_know_no_case(harness: Harness) -> None:
    headers = {"Upgrade": "WebSocket", "Connection": "keep-alive, UPGRADE"}
    async with raw_socket(harness.url, PATH, headers=headers) as client:
        assert await client.message()


async def test_extensions_are_not_negotiated(harness: Harness) -> None:
    offered = {"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"}
    async with raw_socket(harness.url, PATH, headers=offered) as client:
        await client.message()
        await unharmed(client)
