"""Properties of the WebSocket, for any bytes that a client may send in any pieces.

The reference reads a whole stream frame by frame with the straightforward means of RFC 6455. The WebSocket must come to the same
log of messages, answers and closing, wherever the stream is cut and whenever reading is held and released.
"""

from __future__ import annotations

import asyncio
import zlib
from collections import deque
from random import Random
from typing import Any, Final, cast

from hypothesis import strategies as st

from server.realtime.deadlines import Deadlines
from server.realtime.websocket import WebSocket
from tests.server.realtime.raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, masked
from tests.waiting import until

LIMIT: Final = 300
"""Bytes of a message at most: small, so that it is often passed."""

Log = list[tuple[str, Any]]

_SOUND_CODES: Final = frozenset({*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)})


# streams

_TEXTS: Final = st.text(max_size=20).map(str.encode) | st.just(b"4" * 126) | st.just("é".encode() * 63)
_DATA: Final = (
    _TEXTS | st.binary(max_size=20) | st.sampled_from([b"x" * 125, b"x" * 126, b"x" * LIMIT, b"x" * (LIMIT + 1)])
)
_MASKS: Final = st.sampled_from([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04"]) | st.binary(
    min_size=4, max_size=4
)


def _deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    return (compressor.compress(data) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]


@st.composite
def _messages(draw: st.DrawFn) -> bytes:
    """A message in parts, with control frames between them."""
    opcode = draw(st.sampled_from([TEXT, BINARY]))
    data = draw(_TEXTS if opcode == TEXT else _DATA)
    compressed = draw(st.sampled_from([0, 0, 0, 4]))
    if compressed:
        data = _deflated(data)
    places = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    parts = [data[start:stop] for start, stop in zip([0, *places], [*places, len(data)], strict=True)]
    stream = b""
    for index, part in enumerate(parts):
        final = index == len(parts) - 1
        head = {"final": final, "reserved": compressed if index == 0 else 0, "mask": draw(_MASKS)}
        stream += frame(CONTINUATION if index else opcode, part, **head)
        if not final:
            stream += b"".join(draw(st.lists(_CONTROLS, max_size=2)))
    return stream


_CONTROLS: Final = st.builds(
    frame, st.sampled_from([PING, PONG]), st.binary(max_size=8) | st.just(b"x" * 125), mask=_MASKS
)
_ANY: Final = st.builds(
    frame,
    st.integers(0, 15),
    _DATA,
    final=st.booleans(),
    reserved=st.sampled_from([0, 0, 0, 1, 2, 4, 7]),
    mask=_MASKS | st.none(),
    length=st.sampled_from([None, None, None, 2, 8]),
)
_CLOSES: Final = st.builds(
    frame,
    st.just(CLOSE),
    st.sampled_from(
        [b"", b"\x03\xe8", b"\x03\xe8bye", b"\x03", b"\x03\xed", b"\x0f\xa0", b"\x13\x88", b"\x03\xe8\xff"]
    ),
    mask=_MASKS,
)
_LONG_CONTROLS: Final = st.builds(
    frame, st.sampled_from([CLOSE, PING, PONG]), st.sampled_from([b"\x03\xe8" + b"x" * 124, b"x" * LIMIT]), mask=_MASKS
)
_NOISE: Final = st.binary(max_size=16) | st.sampled_from(
    [b"\x81\xff" + b"\xff" * 8, b"\x82\xfe\x00\x00abcd", b"\x81\xfe\xff\xff", b"\x88\x80", b"GET / HTTP/1.1\r\n\r\n"]
)


@st.composite
def _mangled(draw: st.DrawFn) -> bytes:
    """Messages of which bytes were changed, lost or added."""
    stream = b"".join(draw(st.lists(_messages(), min_size=1, max_size=3)))
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(stream)))
        stream = stream[:place] + draw(st.binary(max_size=3)) + stream[place + draw(st.integers(0, 3)) :]
    return stream


STREAMS: Final = st.one_of(
    st.lists(st.one_of(_messages(), _messages(), _CONTROLS), min_size=1, max_size=6).map(b"".join),
    st.lists(st.one_of(_messages(), _CONTROLS, _ANY, _CLOSES, _LONG_CONTROLS, _NOISE), min_size=1, max_size=6).map(
        b"".join
    ),
    _mangled(),
    st.lists(st.just(frame(TEXT, b"4x")), min_size=60, max_size=200).map(b"".join),
)
"""Bytes after the handshake: sound, nearly sound, and none of it."""

CUTS: Final = st.lists(st.integers(0, 2_000), max_size=5) | st.just([-1])
"""Where a stream is cut, modulo its length; [-1] is between all of its bytes."""

HOLDS: Final = st.lists(st.booleans(), max_size=6)
"""After which pieces the session holds the reading, until after the next."""


def mutant(stream: bytes, generator: Random) -> bytes:
    """The stream with bytes changed, lost, doubled or moved."""
    for _ in range(generator.randint(1, 3)):
        start = generator.randint(0, len(stream))
        stop = min(len(stream), start + generator.choice((0, 1, 1, 2, 5)))
        place = generator.randint(0, len(stream))
        piece = generator.choice(
            (generator.randbytes(1), b"\x80", b"\x00", b"", stream[start:stop] * 2, stream[place : place + 4])
        )
        stream = stream[:start] + piece + stream[stop:]
    return stream


# the reference


def reference(stream: bytes, *, deflate: bool) -> Log:
    """What comes of a stream: `message`, `pong` and at last `close` with the codes that would do."""
    log: Log = []
    opcode, compressed, message = 0, False, b""
    position = 0
    while (extent := _extent(stream, position)) is not None:
        start, end = extent
        kind, final, bits = stream[position] & 0x0F, bool(stream[position] & 0x80), stream[position] >> 4 & 7
        wrong = _wrong(kind, final, bits, end - start, opcode, deflate)
        if not stream[position + 1] & 0x80:
            wrong.add(1002)
        if end - start > LIMIT or (kind < CLOSE and end - start + len(message) > LIMIT):
            wrong.add(1009)
        if wrong:
            return [*log, ("close", wrong)]
        if end > len(stream):
            break
        payload = masked(stream[start:end], stream[start - 4 : start])
        position = end
        if kind == PING:
            log.append(("pong", payload))
        elif kind == CLOSE:
            return [*log, ("close", _close_codes(payload))]
        elif kind != PONG:
            if kind != CONTINUATION:
                opcode, compressed = kind, bool(bits)
            message += payload
            if final:
                read = _message(opcode, compressed, message)
                if isinstance(read, set):
                    return [*log, ("close", read)]
                log.append(("message", read))
                opcode, message = 0, b""
    return log


def _extent(stream: bytes, position: int) -> tuple[int, int] | None:
    """Where the payload of a frame begins and ends, which may be beyond the stream; None if not even its head is whole."""
    if len(stream) - position < 2:
        return None
    size, start = stream[position + 1] & 0x7F, position + 2
    if size > 125:
        start += 2 if size == 126 else 8
        if len(stream) < start:
            return None
        size = int.from_bytes(stream[position + 2 : start], "big")
    start += 4 if stream[position + 1] & 0x80 else 0
    return start, start + size


def _wrong(kind: int, final: bool, bits: int, size: int, opcode: int, deflate: bool) -> set[int]:
    if kind >= CLOSE:
        sound = kind in {CLOSE, PING, PONG} and final and size <= 125 and not bits
    elif kind == CONTINUATION:
        sound = bool(opcode) and not bits
    else:
        sound = kind in {TEXT, BINARY} and not opcode and bits in ({0, 4} if deflate else {0})
    return set() if sound else {1002}


def _close_codes(payload: bytes) -> set[int]:
    code = int.from_bytes(payload[:2], "big") if payload else 1000
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return {1002, 1007}
    return {code} if len(payload) != 1 and code in _SOUND_CODES else {1002}


def _message(opcode: int, compressed: bool, data: bytes) -> str | bytes | set[int]:
    if compressed:
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data + b"\x00\x00\xff\xff")
        except zlib.error:
            return {1002, 1007}
        if len(data) > LIMIT:
            return {1009}
    if opcode == BINARY:
        return data
    try:
        return data.decode()
    except UnicodeDecodeError:
        return {1007}


# ours


class _Transport:
    """Records what is written."""

    def __init__(self) -> None:
        self.written = b""
        self.ended = False
        self.closed = False
        self.paused = False

    def write(self, data: bytes) -> None:
        assert not self.ended
        assert not self.closed
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class _Session:
    """Answers each message at once; its log is in the order of what was written."""

    outbound_limit = 1 << 20

    def __init__(self, transport: _Transport) -> None:
        self.server = self
        self.transport = transport
        self._messages: deque[str | bytes] = deque()
        self._corked: bytes | None = None
        self._over = False

    def cork(self) -> None:
        self._corked = b""

    def uncork(self) -> None:
        corked, self._corked = self._corked, None
        if corked:
            self.transport.write(corked)

    def message(self, _websocket: WebSocket, data: str | bytes) -> None:
        if self._over:
            return
        self._messages.append(data)
        if self._corked is None:
            self.transport.write(_ANSWER)
        else:
            self._corked += _ANSWER

    def lost(self, _websocket: WebSocket) -> None:
        self.uncork()
        self._over = True

    def read(self) -> Log:
        """What was written."""
        log: Log = []
        written = self.transport.written
        while written:
            kind, size = written[0], written[1]
            payload, written = written[2 : 2 + size], written[2 + size :]
            assert size <= 125
            if kind == _ANSWER[0]:
                log.append(("message", self._messages.popleft()))
            else:
                assert kind in {0x8A, 0x88}
                log.append(("pong", payload) if kind == 0x8A else ("close", {int.from_bytes(payload, "big")}))
        assert not self._messages
        return log


_ANSWER: Final = b"\x82\x00"


async def ours(pieces: list[bytes], holds: list[bool], *, deflate: bool) -> Log:
    """What the WebSocket makes of a stream in pieces."""
    transport = _Transport()
    session = _Session(transport)
    websocket = WebSocket(cast(Any, session), LIMIT, cast(Any, Deadlines(60.0, WebSocket.abort)))
    websocket.transport = cast(Any, transport)
    websocket.deflate = deflate
    websocket.release()
    for index, piece in enumerate(pieces):
        held = index < len(holds) and holds[index]
        if held:
            websocket.hold()
        websocket.data_received(piece)
        if held:
            websocket.release()
        if transport.paused:
            await asyncio.sleep(0)  # it is others' turn
    await until(lambda: not transport.paused or transport.closed, pause_s=0)
    websocket.connection_lost(None)
    return session.read()


async def check_stream(stream: bytes, cuts: list[int], holds: list[bool], *, deflate: bool) -> None:
    """Whole, in pieces and held up, a stream comes to what the reference says."""
    places = range(1, len(stream)) if cuts == [-1] else sorted({cut % (len(stream) + 1) for cut in cuts})
    pieces = [stream[start:stop] for start, stop in zip([0, *places], [*places, len(stream)], strict=True)]
    whole = await ours([stream], [], deflate=deflate)
    assert await ours(pieces, holds, deflate=deflate) == whole
    expected = reference(stream, deflate=deflate)
    if expected and expected[-1][0] == "close":
        assert whole[:-1] == expected[:-1]
        assert whole[-1][0] == "close"
        assert whole[-1][1] <= expected[-1][1]
    else:
        assert whole == expected
