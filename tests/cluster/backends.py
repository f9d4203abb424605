"""Stand-ins for instances that fail on purpose and say what reached them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from aiohttp import web

from tests.cluster.databases import steady_port

SHARED: Final = {"Cache-Control": "public, max-age=0, s-maxage=1, stale-while-revalidate=1"}


@dataclass
class Backend:
    """A server that counts requests and echoes their headers.

    Attributes:
        mood: `well`; `dying`: takes a request and closes the connection; `busy`: answers 503; `old`: knows none of the app's files.
        seen: how often it was asked, by method and path.
        held: requests of `/held` that wait for `release`.
    """

    name: str
    mood: str = "well"
    url: str = ""
    seen: Counter[str] = field(default_factory=Counter)
    held: int = 0
    release: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Whatever it is."""
        await request.read()
        self.seen[f"{request.method} {request.rel_url}"] += 1
        if self.mood == "dying":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if self.mood == "busy":
            return web.json_response({"code": "UNAVAILABLE"}, status=503)
        if self.mood == "old" and request.path.startswith("/assets/"):
            return web.json_response({"code": "NOT_FOUND"}, status=404)
        if request.path == "/api/v1/jobs/held":
            self.held += 1
            await self.release.wait()
        headers = {"X-Backend": self.name, **(SHARED if request.path.startswith("/api/v1/jobs") else {})}
        if request.path.startswith("/assets/"):
            headers |= {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        if "private" in request.query:
            headers["Cache-Control"] = "no-store"
        if "cookie" in request.query:
            headers["Set-Cookie"] = "a=b"
        if "vary" in request.query:
            headers["Vary"] = "Authorization, Origin"
        echo = {"path": str(request.rel_url), "headers": dict(request.headers), "filling": "x" * 5000}
        return web.json_response(echo, headers=headers)


@asynccontextmanager
async def backends(count: int) -> AsyncIterator[list[Backend]]:
    """So many of them, named `rialto-1` and so on."""
    async with AsyncExitStack() as stack:
        made = []
        for number in range(count):
            backend = Backend(f"rialto-{number + 1}")
            app = web.Application(client_max_size=10_000_000)
            app.router.add_route("*", "/{path:.*}", backend.answer)
            runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            port = steady_port()
            await web.TCPSite(runner, "127.0.0.1", port).start()
            backend.url = f"http://127.0.0.1:{port}"
            made.append(backend)
        yield made
