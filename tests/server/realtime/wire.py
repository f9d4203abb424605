"""A Socket.IO client small enough to break the protocol on purpose: over WebSocket or polling, packet by packet."""

from __future__ import annotations

import asyncio
import base64
from collections import deque
from typing import Any, Self

import aiohttp
import orjson
from yarl import URL

SEPARATOR = "\x1e"


class Closed(Exception):
    """The server closed the transport."""


class Wire:
    """One transport. `inbox` holds what was received and not yet taken: packets, and binary messages as bytes.

    Use as `async with Wire(url, "websocket") as wire`.
    """

    def __init__(
        self, url: str, transport: str, headers: dict[str, str] | None = None, path: str = "socket.io/"
    ) -> None:
        self.endpoint = URL(url) / path
        self.transport = transport
        self.headers = headers or {}
        self.opening: dict[str, Any] = {}
        self.inbox: deque[Any] = deque()
        self.events: list[tuple[str, str, Any]] = []
        self.acks: dict[tuple[str, str], Any] = {}
        self._number = 0
        self._http = aiohttp.ClientSession()
        self._socket: aiohttp.ClientWebSocketResponse | None = None

    async def __aenter__(self) -> Self:
        try:
            await self.open()
        except BaseException:
            await self._http.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._socket is not None:
            await self._socket.close()
        await self._http.close()

    def query(self, **more: str) -> dict[str, str]:
        """The query of a request of this session."""
        sid = {"sid": self.opening["sid"]} if self.opening else {}
        return {"EIO": "4", "transport": self.transport, **sid, **more}

    async def open(self) -> None:
        """The Engine.IO handshake."""
        if self.transport == "websocket":
            self._socket = await self._http.ws_connect(self.endpoint.with_query(self.query()), headers=self.headers)
        packet = await self.receive()
        assert packet[0] == "0", packet
        self.opening = orjson.loads(packet[1:])

    async def upgrade(self) -> None:
        """Go from polling to WebSocket as the official client does."""
        poll = asyncio.ensure_future(self.get())
        socket = await self.probe()
        self.adopt(await poll)
        await socket.send_str("5")
        self.transport, self._socket = "websocket", socket

    def adopt(self, packets: list[str]) -> None:
        """Take over what a GET has brought."""
        self.inbox.extend(_binary(packet) for packet in packets if packet != "6")

    async def probe(self) -> aiohttp.ClientWebSocketResponse:
        """The first half of an upgrade."""
        socket = await self._http.ws_connect(self.endpoint.with_query(self.query(transport="websocket")))
        await socket.send_str("2probe")
        assert (await socket.receive()).data == "3probe"
        return socket

    async def get(self) -> list[str]:
        """One polling GET."""
        async with self._http.get(self.endpoint.with_query(self.query()), headers=self.headers) as response:
            if response.status != 200:
                raise Closed(response.status)
            return (await response.text()).split(SEPARATOR)

    async def post(self, body: str | bytes) -> tuple[int, str]:
        """One polling POST: status and text."""
        async with self._http.post(self.endpoint.with_query(self.query()), data=body) as response:
            return response.status, await response.text()

    async def send(self, packet: str | bytes) -> None:
        """Send one Engine.IO packet."""
        if self._socket is None:
            status, _ = await self.post(packet if isinstance(packet, str) else b"b" + base64.b64encode(packet))
            if status != 200:
                raise Closed(status)
            return
        try:
            if isinstance(packet, str):
                await self._socket.send_str(packet)
            else:
                await self._socket.send_bytes(packet)
        except ConnectionError as error:
            raise Closed from error

    async def receive(self) -> Any:
        """The next Engine.IO packet, bytes when it is binary; pings are answered on the way. Raises Closed."""
        while True:
            while not self.inbox:
                self.inbox.extend(await self._fetch())
            packet = self.inbox.popleft()
            if packet == "1":
                raise Closed
            if packet == "2":
                await self.send("3")
            elif packet != "6":
                return packet

    async def _fetch(self) -> list[Any]:
        if self._socket is None:
            return [_binary(packet) for packet in await self.get()]
        message = await self._socket.receive()
        if message.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
            raise Closed(self._socket.close_code)
        return [message.data]

    async def connect(self, namespace: str = "/market", auth: Any = None) -> dict[str, Any]:
        """Enter a namespace; the payload of CONNECT, or of CONNECT_ERROR."""
        await self.send(f"40{_address(namespace)}{'' if auth is None else orjson.dumps(auth).decode()}")
        packet = await self.receive()
        kind, payload = packet[:2], orjson.loads(packet[packet.index("{") :])
        assert kind in {"40", "44"}, packet
        return payload

    async def start(self, event: str, *arguments: Any, namespace: str = "/market") -> int:
        """Send a command with an ack number."""
        self._number += 1
        await self.send(f"42{_address(namespace)}{self._number}{orjson.dumps([event, *arguments]).decode()}")
        return self._number

    async def command(self, event: str, *arguments: Any, namespace: str = "/market") -> dict[str, Any]:
        """Send a command and wait for its ack; events that come before it are kept in `events`."""
        number = await self.start(event, *arguments, namespace=namespace)
        return await self.ack(number, namespace=namespace)

    async def ack(self, number: int, *, namespace: str = "/market") -> dict[str, Any]:
        """The ack of a command. Others may come before it, since commands overlap; they are kept."""
        wanted = f"43:{number}", namespace
        while wanted not in self.acks:
            kind, where, payload = await self.take()
            if kind == "42":
                self.events.append((where, payload[0], payload[1]))
            else:
                assert (kind, where) not in self.acks, "answered twice"
                self.acks[kind, where] = payload
        return self.acks.pop(wanted)

    async def event(self, name: str = "events") -> Any:
        """The next event of that name."""
        while True:
            for index, (_, event, payload) in enumerate(self.events):
                if event == name:
                    del self.events[index]
                    return payload
            kind, where, payload = await self.take()
            if kind == "42":
                self.events.append((where, payload[0], payload[1]))
            else:
                self.acks[kind, where] = payload

    async def take(self) -> tuple[str, str, Any]:
        """The next Socket.IO packet: `42` or `43:<number>`, its namespace, its payload, attachments in their places."""
        packet = await self.receive()
        attachments = []
        if packet[:2] in {"45", "46"}:
            count, _, rest = packet[2:].partition("-")
            attachments = [await self.receive() for _ in range(int(count))]
            packet = f"4{int(packet[1]) - 3}{rest}"
        where, _, rest = packet[2:].partition(",") if packet[2:3] == "/" else ("/", "", packet[2:])
        digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        payload = _whole(orjson.loads(rest[len(digits) :]), attachments)
        if packet[:2] == "43":
            return f"43:{digits}", where, payload[0]
        return packet[:2], where, payload

    async def closing(self) -> None:
        """Return when the server has closed the transport; what comes before that is dropped."""
        try:
            while True:
                await self.receive()
        except Closed:
            return


def _address(namespace: str) -> str:
    return "" if namespace == "/" else f"{namespace},"


def _binary(packet: str) -> str | bytes:
    """A packet of a polling payload as a WebSocket would have brought it."""
    return base64.b64decode(packet[1:], validate=True) if packet.startswith("b") else packet


def _whole(value: Any, attachments: list[bytes]) -> Any:
    """The value with its attachments in the places that were held for them."""
    if isinstance(value, list):
        return [_whole(item, attachments) for item in value]
    if not attachments or not isinstance(value, dict):
        return value
    if value.get("_placeholder") is True:
        assert isinstance(attachments[value["num"]], bytes), "an attachment was overtaken"
        return attachments[value["num"]]
    return {key: _whole(item, attachments) for key, item in value.items()}
