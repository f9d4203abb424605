"""The official JavaScript client against the socket edge alone, over every transport."""

from __future__ import annotations

import asyncio
import json

from aiohttp import web

from server.realtime.frames import NOOP
from server.realtime.session import TRANSPORT_ERROR
from tests.contract import node
from tests.server.realtime.conftest import Market, Open, open_market

__all__ = ["open_market"]  # the fixture of the socket edge's tests


async def test_official_client(open_market: Open) -> None:
    def prepare(market: Market) -> None:
        async def log_out(request: web.Request) -> web.Response:
            session = request.match_info["session"]
            market.revoked.sessions.add(session)
            market.sockets.close_session(session)
            return web.Response(status=204)

        async def forget(request: web.Request) -> web.Response:
            """As if the process that knew the session had been killed, and another had taken its place."""
            engine = market.sockets._server.eio
            session = engine.sockets.pop(request.match_info["id"])
            if session._transport is not None:
                session._transport.abort()
            session.write(NOOP)  # the next poll comes for a session that nobody knows
            await asyncio.sleep(0.05)
            session.end(TRANSPORT_ERROR)
            return web.Response(status=204)

        market.app.router.add_post("/logout/{session}", log_out)
        market.app.router.add_post("/forget/{id}", forget)

    market = await open_market(prepare=prepare)
    leavers = [f"leaver-{transport}" for transport in ("websocket", "polling", "default")]
    tokens = {name: market.token(name, name) for name in ("ann", *leavers)}
    await node.run("edge.test.mjs", MARKET_URL=market.url, MARKET_TOKENS=json.dumps(tokens))
    assert market.sockets.open_transports == 0
