"""python-socketio as it comes, on aiohttp and uvloop, all options at their defaults.

    PEER_SECRET=... python -m loadtest.peers.vanilla PORT [--redis URL]

With `--redis` instances share their rooms through its Redis manager. See the package for what it answers.
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
from datetime import UTC, datetime
from typing import Any, Final

import jwt
import socketio
import uvloop
from aiohttp import web

NAMESPACE: Final = "/bidding"
_HASH: Final = "0" * 64
_END_AT: Final = "2027-01-01T00:00:00.000Z"


class Bidding(socketio.AsyncNamespace):  # type: ignore[misc]  # python-socketio is untyped
    """The namespace; one number per stream is all it knows."""

    def __init__(self, secret: str) -> None:
        super().__init__(NAMESPACE)
        self._secret = secret
        self._seqs: dict[str, int] = {}

    async def on_connect(self, sid: str, _environ: dict[str, Any], auth: dict[str, Any] | None) -> None:
        """Check the token."""
        try:
            claims = jwt.decode((auth or {}).get("token", ""), self._secret, algorithms=["HS256"])
        except jwt.PyJWTError:
            raise socketio.exceptions.ConnectionRefusedError("UNAUTHENTICATED") from None
        await self.save_session(sid, {"user": claims["sub"]})

    async def on_subscribe(self, sid: str, body: dict[str, Any]) -> dict[str, Any]:
        """Join the room of a stream."""
        stream = body["stream"]
        await self.enter_room(sid, stream)
        seq = self._seqs.get(stream, 0)
        return {"ok": True, "stream": stream, "seq": seq, "state": None, "events": [], "more": False}

    async def on_bid(self, sid: str, body: dict[str, Any]) -> dict[str, Any]:
        """Number an event, emit it to the room."""
        stream, amount = f"auction:{body['auction']}", body["amount"]
        seq = self._seqs[stream] = self._seqs.get(stream, 0) + 1
        user = (await self.get_session(sid))["user"]
        event = {
            "amount": amount,
            "bidder": user,
            "end_at": _END_AT,
            "leader": user,
            "price": amount,
            "seq": seq,
            "t": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "type": "bid",
            "hash": _HASH,
        }
        await self.emit("events", {"stream": stream, "events": [event], "seq": seq}, room=stream)
        return {"ok": True, "seq": seq, "price": amount, "leading": True, "end_at": _END_AT}

    async def on_sync_time(self, _sid: str, body: dict[str, Any]) -> dict[str, Any]:
        """Answer with the time."""
        t1 = _now()
        return {"ok": True, "t0": body["t0"], "t1": t1, "t2": _now()}


def _now() -> int:
    return int(datetime.now(UTC).timestamp() * 1000)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--redis", help="URL")
    options = parser.parse_args()
    # Before its memory is read, so that what it holds counts and not what it has not yet thrown away.
    signal.signal(signal.SIGUSR2, lambda *_: gc.collect())
    manager = socketio.AsyncRedisManager(options.redis) if options.redis else None
    server = socketio.AsyncServer(async_mode="aiohttp", client_manager=manager)
    server.register_namespace(Bidding(os.environ["PEER_SECRET"]))
    app = web.Application()
    server.attach(app)
    web.run_app(app, host="127.0.0.1", port=options.port, loop=uvloop.new_event_loop(), print=None, access_log=None)


if __name__ == "__main__":
    main()
