"""The parts without I/O: frames, the JSON module, namespaces, the register of logins."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from pydantic import BaseModel

from server.auth.principal import Principal
from server.realtime import Namespace, codec, frames
from server.realtime.sessions import LiveSessions
from tests.server.realtime.conftest import Market, Nothing


async def nothing(connection: Any, body: BaseModel) -> dict[str, Any]:
    return {}


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (1, b"\x81\x01"),
        (125, b"\x81\x7d"),
        (126, b"\x81\x7e\x00\x7e"),
        (65_535, b"\x81\x7e\xff\xff"),
        (65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_websocket_header_by_size(size: int, header: bytes) -> None:
    assert frames.Frame(b"x" * size).websocket == header + b"x" * size


def test_packets_of_the_root_namespace_carry_no_name() -> None:
    assert frames.event("/", "news", b"{}").packet == b'42["news",{}]'
    assert frames.event("/chat", "news", b"{}").packet == b'42/chat,["news",{}]'
    assert frames.acknowledgement("/chat", 7, {"ok": True}) == b'43/chat,7[{"ok":true}]'


@pytest.mark.parametrize("text", ["NaN", "1e400", "-Infinity", '"\\ud800"', "[" * 2_000 + "]" * 2_000, ""])
def test_json_that_browsers_refuse_is_refused(text: str) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        codec.loads(text)


def test_json_module_takes_the_standard_arguments() -> None:
    assert codec.dumps({"a": [1, "ü"]}, separators=(",", ":")) == '{"a":[1,"ü"]}'
    assert codec.loads('{"a":1}', parse_int=int) == {"a": 1}


async def test_batch_is_encoded_once_for_all(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    await market.add("tally:a")
    wires = [await market.member() for _ in range(20)]
    for wire in wires:
        await wire.command("subscribe", {"stream": "tally:a"})
    encoded: list[str] = []
    encode = frames.event

    def count(namespace: str, name: str, payload: bytes) -> frames.Frame:
        encoded.append(name)
        return encode(namespace, name, payload)

    monkeypatch.setattr(frames, "event", count)
    await market.add("tally:a")
    received = [orjson.dumps(await wire.event()) for wire in wires]
    assert len(set(received)) == 1
    assert encoded == ["events"]


@pytest.mark.parametrize("name", ["market", "//", "/UPPER", "/a b", "/a,b", ""])
def test_impossible_names_of_namespaces(name: str) -> None:
    with pytest.raises(ValueError, match="namespace"):
        Namespace(name)


def test_what_a_namespace_refuses_to_register() -> None:
    namespace = Namespace("/market")
    namespace.command("bid", Nothing, nothing, answer=Nothing, summary="Bid")
    namespace.emits("news", Nothing, "News")
    with pytest.raises(ValueError, match="taken"):
        namespace.command("bid", Nothing, nothing, answer=Nothing, summary="Bid")
    with pytest.raises(ValueError, match="reserved"):
        namespace.command("disconnect", Nothing, nothing, answer=Nothing, summary="Leave")
    with pytest.raises(ValueError, match="NO_SUCH_CODE"):
        namespace.command("ask", Nothing, nothing, answer=Nothing, summary="Ask", errors=("NO_SUCH_CODE",))
    with pytest.raises(ValueError, match="taken"):
        namespace.emits("news", Nothing, "News")


async def test_namespace_is_added_once(market: Market) -> None:
    with pytest.raises(ValueError, match="twice"):
        market.sockets.add(Namespace("/market"))


class Door:
    """A connection that counts how often it is closed."""

    def __init__(self) -> None:
        self.closed = 0

    def close(self, reason: str) -> None:
        self.closed += 1


def test_register_counts_uses_of_one_transport() -> None:
    sessions, door, other = LiveSessions(), Door(), Door()
    ann = Principal("ann", "s1", "both")
    sessions.add(ann, door)
    sessions.add(ann, door)
    sessions.add(Principal("ann", "s2", "both"), other)
    sessions.remove(ann, door)
    assert sessions.close_session("s1") == 1
    assert sessions.close_user("ann") == 2
    sessions.remove(ann, door)
    assert sessions.close_session("s1") == 0
    assert (door.closed, other.closed) == (2, 1)
