"""Properties of the packet parsers, for any text that a client may send: Socket.IO packets and Engine.IO payloads."""

from __future__ import annotations

import base64
import json
from itertools import pairwise
from random import Random
from typing import Any, Final, cast

import orjson
from aiohttp import web
from hypothesis import strategies as st
from socketio.packet import Packet as Reference

from server.realtime import codec, frames
from server.realtime.frames import Frame
from server.realtime.packets import Kind, NotText, Packet, arguments, head, parse
from server.realtime.session import Refused, Session
from tests.conformance.oracle import Oracle


class _Upstream(Reference):  # type: ignore[misc]  # python-socketio is untyped
    """python-socketio's reader, with the same JSON as ours."""

    json = codec


# texts

_VALUES: Final = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
_NAMES: Final = st.sampled_from(
    ["message", "bid", "connect", "disconnect", "", "é", 'a"b', "x" * 65, "a-b:c_D9"]
) | st.text(max_size=6)
_ODD: Final = st.sampled_from(
    [
        *("", "NaN", "-Infinity", "1e400", "9" * 300, "9" * 400, "[", "{}", "null", "[null]", "[7]", '["a",]', "['a']"),
        *(
            "[" * 1_030,
            r'["a","\ud800"]',
            r'["a","\\ud800"]',
            r'["a","\udc00\ud800"]',
            r'["\ud83d\ude00"]',
            '["a"]["a"]',
        ),
        *('["a"] ', ' ["a"]', '["a",{"_placeholder":true,"num":0}]', '["a",18446744073709551616]', '["a",-0.0,1E5]'),
        *('["a","\x01"]', "\ufeff[]"),
    ]
)


def _encoded(value: Any, style: int) -> str:
    if style == 0:
        return orjson.dumps(value).decode()
    return json.dumps(value, ensure_ascii=style == 1, indent=1 if style == 3 else None)


_LISTS: Final = st.builds(lambda name, rest: [name, *rest], _NAMES, st.lists(_VALUES, max_size=3))
_PAYLOADS: Final = st.one_of(
    st.builds(_encoded, _LISTS, st.integers(0, 3)),
    st.builds(_encoded, _VALUES | st.dictionaries(st.text(max_size=4), _VALUES, max_size=3), st.integers(0, 3)),
    _ODD,
)
_SOUND: Final = st.builds(
    "".join,
    st.tuples(
        st.sampled_from("0122222233456"),
        st.sampled_from(["", "", "", "1-", "2-", "16-"]),
        st.sampled_from(["", "", "/custom,", "/custom", "/a-b,", "/é日,", "/x?y=1,"]),
        st.sampled_from(["", "", "0", "7", "12345"]),
        _PAYLOADS,
    ),
)
_STRANGE: Final = st.builds(
    "".join,
    st.tuples(
        st.sampled_from("0123456789a- \x1e²١"),
        st.sampled_from(
            ["0-", "17-", "-", "--", "01-", "1-2-", "9999999999-", "99999999999-", "١-", "²-", "+1-", "1 -"]
        ),
        st.sampled_from(["", "/,", "//,", "/", "/[,", "/a\n,", ",", "/,/,", "/1-,", "/a,/b,", "/?,"]),
        st.sampled_from(
            ["", "007", "9" * 15, "9" * 16, "9" * 100, "9" * 101, "²", "١", "-1", " 1", "1.5", "1e3", "0x1"]
        ),
        _PAYLOADS,
    ),
)
_PIECES: Final = st.text('0123456-/,[]{}":\\u \n١²é', max_size=4) | st.text(max_size=4)


@st.composite
def _mangled(draw: st.DrawFn) -> str:
    """A packet of which pieces were lost, doubled or replaced."""
    text = draw(_SOUND)
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        stop = min(len(text), start + draw(st.integers(0, 4)))
        text = text[:start] + draw(_PIECES) + text[stop:]
    return text


def mutant(text: str, generator: Random) -> str:
    """The text with some of it lost, doubled, moved or replaced."""
    for _ in range(generator.randint(1, 3)):
        start = generator.randint(0, len(text))
        stop = min(len(text), start + generator.choice((0, 1, 1, 2, 5)))
        place = generator.randint(0, len(text))
        piece = generator.choice((*_SPECIAL, "", text[start:stop] * 2, text[place : place + 3]))
        text = text[:start] + piece + text[stop:]
    return text


_SPECIAL: Final = (
    *'0123456789-/,[]{}":\\ue+. \n\x1eb=A',
    "\u0661",
    "\u00b2",
    "\u00e9",
    "\U0001f600",
    "null",
    r"\ud800",
)

PACKETS: Final = st.one_of(_SOUND, _mangled(), _STRANGE, st.text('012345-/,[]"a', max_size=12), st.text(max_size=12))
"""Texts that are packets, nearly packets, and none at all."""

_PACKET: Final = st.one_of(
    st.builds(lambda text: "4" + text, st.text(max_size=12)),
    st.builds(lambda data: "b" + base64.b64encode(data).decode(), st.binary(max_size=12)),
    st.sampled_from(
        ["1", "3", "3probe", "4", "b", "4b", "b!", "bAA", "bAA=", "bAA==", "bAA===", "b__8=", "bAQ\n==", "bA A="]
    ),
    st.sampled_from(["0", "2", "5", "6", "7", "", "a", "é", "\ufeff4", " 4", "9"]),
    st.text(max_size=4),
)
PAYLOADS: Final = st.one_of(
    st.lists(_PACKET, min_size=1, max_size=6).map("\x1e".join),
    st.lists(st.builds(lambda text: "4" + text, st.text(max_size=9)), min_size=1, max_size=40).map("\x1e".join),
    st.text("1234b=A\x1e", max_size=16),
)
"""Bodies of polling's POSTs."""


# Socket.IO packets


def read(text: str) -> Packet | None:
    """The packet, None if it is refused; any other outcome is a defect."""
    try:
        return parse(text)
    except ValueError:
        return None


def encoded(packet: Packet) -> str:
    """A packet as text, by the protocol's description."""
    count = f"{packet.attachments}-" if packet.attachments else ""
    address = "" if packet.namespace == "/" else f"{packet.namespace},"
    number = "" if packet.number is None else str(packet.number)
    data = "" if packet.data is None else orjson.dumps(packet.data).decode()
    return f"{packet.kind:d}{count}{address}{number}{data}"


def _check_packet(text: str) -> None:
    packet = read(text)
    _check_short_way(text, packet)
    if packet is None:
        return
    if _nesting(text) < 250:  # orjson writes no more than 254 levels
        assert read(encoded(packet)) == packet
    upstream = _Upstream(encoded_packet=text)
    assert packet == (
        upstream.packet_type,
        upstream.namespace or "/",
        upstream.id,
        upstream.data,
        upstream.attachment_count,
    )


def _check_short_way(text: str, packet: Packet | None) -> None:
    found = head(text)
    if found is None:
        return
    try:
        values = arguments(text, found)
    except NotText:
        with_whole_characters = None
        try:
            with_whole_characters = parse(text)
        except NotText:
            return
        raise AssertionError(f"only the short way finds half a character in {with_whole_characters}") from None
    except ValueError:
        assert packet is None
        return
    namespace, number, event = found.groups()
    assert packet == (Kind.EVENT, namespace or "/", int(number) if number else None, [event, *values], 0)


def _nesting(text: str) -> int:
    return text.count("[") + text.count("{")


def check_packets(texts: list[str], oracle: Oracle) -> None:
    """What is taken means the same when it is written again, on the short way for commands, to python-socketio, and to the
    official parser. What is refused may well be taken by those two.
    """
    for text, theirs in zip(texts, oracle.packets(texts), strict=True):
        _check_packet(text)
        ours = read(text)
        if ours is not None and "?" not in ours.namespace and "?" not in text:
            assert theirs is not None, text
            assert (theirs["type"], theirs["nsp"], theirs["attachments"]) == (
                ours.kind,
                ours.namespace,
                ours.attachments,
            )
            assert _numbers(theirs["id"]) == _numbers(ours.number), text
            assert _numbers(theirs["data"]) == _numbers(ours.data), text


def _numbers(value: Any) -> Any:
    """The value with numbers as JavaScript has them."""
    if isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, list):
        return [_numbers(each) for each in value]
    if isinstance(value, dict):
        return {key: _numbers(each) for key, each in value.items()}
    return value


# Engine.IO payloads


class _Engine:
    """Records what a session hands on, in the place of engine and listener."""

    max_http_buffer_size = 1_000_000
    outbound_limit = 1 << 20

    def __init__(self) -> None:
        self.listener = self
        self.got: list[tuple[str, str | bytes]] = []
        self.ended = ""

    def receive(self, data: str | bytes) -> None:
        self.got.append(("message" if isinstance(data, str) else "binary", data))

    def alive(self, _session: Session) -> None:
        self.got.append(("pong", ""))

    def closed(self, _session: Session, reason: str) -> None:
        self.ended = reason

    def forget(self, _session: Session) -> None:
        pass


class _Body:
    """A request whose body arrives in pieces."""

    content_length = None

    def __init__(self, body: bytes, cuts: list[int]) -> None:
        places = [0, *sorted(cut % (len(body) + 1) for cut in cuts), len(body)]
        self._pieces = [body[start:stop] for start, stop in pairwise(places)]
        self.content = self

    async def iter_any(self) -> Any:
        for piece in self._pieces:
            yield piece


async def take(body: bytes, cuts: list[int]) -> tuple[list[tuple[str, str | bytes]], str, bool]:
    """What a session makes of a POST: what it hands on, why it ended if it did, and whether the POST was refused."""
    engine = _Engine()
    session = Session(cast(Any, engine), "sid", "127.0.0.1")
    session.receive = engine.receive
    session.connected = True
    try:
        await session.post(cast(web.Request, _Body(body, cuts)))
    except Refused:
        assert session.closed
        return engine.got, engine.ended, True
    assert session.closed == bool(engine.ended)
    return engine.got, engine.ended, False


async def check_payloads(texts: list[str], cuts: list[int], oracle: Oracle) -> None:
    """However a body arrives it is the same; what is taken is so to the official parser, and when it is written again."""
    for text, theirs in zip(texts, oracle.payloads(texts), strict=True):
        outcome = await take(text.encode(), [])
        assert await take(text.encode(), cuts) == outcome
        got, ended, refused = outcome
        if refused:
            continue
        assert theirs is not None, text
        before_close = theirs[: [kind for kind, _ in theirs].index("close")] if ended else theirs
        assert ended == ("client disconnect" if len(before_close) < len(theirs) or ended else "")
        assert [_flat(each) for each in got] == [(kind, "" if kind == "pong" else data) for kind, data in before_close]
        messages = [
            Frame(b"4" + data.encode()) if isinstance(data, str) else Frame(b"", (data,))
            for kind, data in got
            if kind != "pong"
        ]
        if messages:
            again = frames.SEPARATOR.join([frame.polling for frame in messages])
            assert (await take(again, cuts))[0] == [each for each in got if each[0] != "pong"]


def _flat(got: tuple[str, str | bytes]) -> tuple[str, str]:
    kind, data = got
    return kind, data if isinstance(data, str) else base64.b64encode(data).decode()
