"""The conformance harness in the test's own process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from tests.conformance.server import Conformance, conformance
from tests.waiting import until


@dataclass(frozen=True)
class Harness:
    """A running harness."""

    url: str
    served: Conformance

    async def empty(self) -> None:
        """Return when no session is left, on either path."""
        await until(lambda: not self.served.open_sessions)


Open = Callable[..., Awaitable[Harness]]


@pytest.fixture
async def open_harness() -> AsyncIterator[Open]:
    """`await open_harness(ping_interval_s=25, ping_timeout_s=20, connect_timeout_s=60)`."""
    async with AsyncExitStack() as stack:

        async def start(
            ping_interval_s: float = 25.0, ping_timeout_s: float = 20.0, connect_timeout_s: float = 60.0
        ) -> Harness:
            served = await stack.enter_async_context(conformance(ping_interval_s, ping_timeout_s, connect_timeout_s))
            runner = web.AppRunner(served.app)
            await runner.setup()
            stack.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            stack.push_async_callback(served.stop)
            return Harness(f"http://127.0.0.1:{runner.addresses[0][1]}", served)

        yield start


@pytest.fixture
async def harness(open_harness: Open) -> Harness:
    """With pings so rare, and a connect timeout so long, that whatever closes a connection is closed for what it did."""
    return await open_harness()


@pytest.fixture
async def quick(open_harness: Open) -> Harness:
    """With pings as often as the official suites expect; a second for an answer, where a busy machine may take longer than
    their 0.2.
    """
    return await open_harness(0.3, 1.0)


@pytest.fixture
async def patient(open_harness: Open) -> Harness:
    """With pings as often, and all the time in the world to answer them."""
    return await open_harness(0.3, 60.0)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """An HTTP client that keeps no cookies and follows no redirects by itself."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session
