"""The end of a process: SIGTERM to real web instances and workers, with clients on them."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import ClientConnectionError, ClientSession
from pymongo import AsyncMongoClient

from models.rules.times import to_rfc3339
from server.dev.child import Child
from server.drain import paced
from tests.server.realtime.wire import Wire
from tests.waiting import until

Start = Callable[..., Awaitable[Child]]

_URL = re.compile(r"^(http://127\.0\.0\.1:\d+)$", re.MULTILINE)


@pytest.fixture
async def start(mongodb_url: str, clean_redis_url: str, database: str, tmp_path: Path) -> AsyncIterator[Start]:
    """`await start("serve", "--port", "0", drain_s=5)`: a process of the market."""
    base = {name: value for name, value in os.environ.items() if not name.startswith("RIALTO_")} | {
        "RIALTO_MONGODB_URL": mongodb_url,
        "RIALTO_MONGODB_DATABASE": database,
        "RIALTO_REDIS_URL": clean_redis_url,
        "RIALTO_TOKEN_SECRET": secrets.token_urlsafe(48),
        "RIALTO_DATA_DIR": str(tmp_path),
        "RIALTO_ARGON2_MEMORY_KIB": "64",
        "RIALTO_ARGON2_TIME": "1",
    }
    async with AsyncExitStack() as stack:

        async def process(*command: str, **settings: Any) -> Child:
            environment = base | {f"RIALTO_{name.upper()}": str(value) for name, value in settings.items()}
            log = tmp_path / f"{secrets.token_hex(4)}.log"
            child = Child([sys.executable, "-m", "server", *command], log=log, env=environment)
            await child.start()
            stack.push_async_callback(child.kill)
            return child

        yield process


@pytest.fixture
async def http() -> AsyncIterator[ClientSession]:
    async with ClientSession() as session:
        yield session


async def url_of(child: Child) -> str:
    """Where a web instance listens, once it does."""

    def printed() -> str | None:
        assert child.running, child.last_lines(30)
        found = _URL.search(Path(child.log).read_text())
        return found[1] if found else None

    url = await until(printed)
    assert url is not None
    return url


def logged(child: Child, event: str) -> bool:
    """Whether a process has logged an event."""
    lines = Path(child.log).read_bytes().splitlines()
    return any(orjson.loads(line)["event"] == event for line in lines if line.startswith(b"{"))


async def job(http: ClientSession, url: str) -> tuple[str, dict[str, str]]:
    """A new public job: the stream of its auction, and the headers of its owner."""
    person = {"email": f"{secrets.token_hex(8)}@example.com", "password": "correct horse battery", "name": "C"}
    async with http.post(f"{url}/api/v1/auth/register", json={**person, "role": "both"}) as answer:
        headers = {"Authorization": "Bearer " + (await answer.json())["access_token"]}
    body = {
        "title": "Paint a fence",
        "description": "Forty metres, two coats, green.",
        "category": "crafts",
        "skills": ["painting"],
        "budget": {"min": 0, "max": 20_000, "currency": "EUR"},
        "auction": {
            "format": "english",
            "start_amount": 100,
            "end_at": to_rfc3339(int(time.time() * 1000) + 3_600_000),
        },
    }
    async with http.post(f"{url}/api/v1/jobs", json=body, headers=headers) as answer:
        posted = await answer.json()
        assert answer.status == 201, posted
        return f"auction:{posted['auction']['id']}", headers


@pytest.mark.parametrize(("count", "over_s"), [(0, 1), (1, 0), (7, 0), (3, 0.2), (1_000, 0.25)])
async def test_pacing_leaves_nobody_out(count: int, over_s: float) -> None:
    batches = [list(batch) async for batch in paced(range(count), over_s)]
    assert [one for batch in batches for one in batch] == list(range(count))
    assert all(batches)
    assert len(batches) <= max(1, over_s / 0.1)


async def test_a_web_instance_lets_its_clients_go(start: Start, http: ClientSession) -> None:
    child = await start("serve", "--port", "0", drain_s=60, drain_rate=0.2, instance="web-1")
    url = await url_of(child)
    stream, headers = await job(http, url)
    socket, poller = Wire(url, "websocket"), Wire(url, "polling")
    events = f"{url}/api/v1/streams/{stream}/events?after=1"
    async with socket, poller, http.get(events, headers={"Accept": "text/event-stream"}) as source:
        assert source.status == 200
        for wire in (socket, poller):
            assert "sid" in await wire.connect("/bidding")
        waiting = asyncio.ensure_future(http.get(f"{events}&wait=30"))

        async def both_wait() -> bool:
            async with http.get(f"{url}/metrics") as metrics:
                return "rialto_stream_subscriptions 2.0" in await metrics.text()

        await until(both_wait)
        child.signal(signal.SIGTERM)
        await until(lambda: logged(child, "draining"))
        async with http.get(f"{url}/health/ready") as ready:
            assert (ready.status, (await ready.json())["status"]) == (503, "stopping")
        async with http.get(f"{url}/health/live") as live:
            assert live.status == 200
        async with http.get(f"{url}/socket.io/?EIO=4&transport=polling") as refused:
            assert refused.status == 503
        async with http.get(
            f"{url}/api/v1/users/me", headers=headers
        ) as own:  # REST goes on, on a connection of its own
            assert (own.status, own.headers["Connection"]) == (200, "close")
        async with http.get(f"{events}&wait=30") as again:
            assert (again.status, again.headers["Retry-After"]) == (503, "1")

        assert (await socket.event("reconnect"))["delay_ms"] >= 0
        assert (await socket.command("subscribe", {"stream": stream}, namespace="/bidding"))["ok"]
        assert (await poller.event("reconnect"))["delay_ms"] >= 0
        async with await waiting as polled:
            assert (polled.status, (await polled.json())["events"]) == (200, [])
        assert b"retry:" in await source.content.read()  # to its end
        for wire in (socket, poller):
            await wire.closing()
    assert await child.wait() == 0
    with pytest.raises(ClientConnectionError):
        await http.get(f"{url}/health/live")


async def test_without_clients_it_ends_at_once(start: Start) -> None:
    child = await start("serve", "--port", "0", drain_s=600)
    await url_of(child)
    child.signal(signal.SIGTERM)
    assert await child.wait() == 0


async def test_a_second_signal_cuts_it_short(start: Start) -> None:
    child = await start("serve", "--port", "0", drain_s=600, drain_rate=0.01)
    url = await url_of(child)
    async with Wire(url, "websocket"), Wire(url, "websocket") as wire:
        assert "sid" in await wire.connect("/bidding")  # the second is asked to leave minutes after the first
        child.signal(signal.SIGTERM)
        child.signal(signal.SIGTERM)  # `timeout` sends it twice, and means it once
        await until(lambda: logged(child, "draining"))
        assert (await wire.command("sync_time", {"t0": 1}, namespace="/bidding"))["ok"]
        await asyncio.sleep(1.1)
        assert not logged(child, "drain.cut_short")
        child.signal(signal.SIGINT)
        await wire.closing()
        assert await child.wait() in (0, 1)
    assert logged(child, "drain.cut_short")


async def test_a_client_that_does_not_listen_is_left_behind(start: Start) -> None:
    child = await start("serve", "--port", "0", drain_s=2)
    host, port = (await url_of(child)).removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    # half a request, which will never be whole, and a reader that does not read
    writer.write(
        b"POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"
    )
    await writer.drain()
    await asyncio.sleep(0.2)
    child.signal(signal.SIGTERM)
    assert await child.wait() == 0
    writer.close()
    assert (await reader.read())[:12] in (b"", b"HTTP/1.1 503", b"HTTP/1.1 400")


async def test_a_start_that_waits_for_the_database_ends(start: Start) -> None:
    child = await start(
        "serve", "--port", "0", drain_s=600, mongodb_url="mongodb://127.0.0.1:1", mongodb_connect_timeout_ms=100
    )
    await until(lambda: logged(child, "mongodb.waiting"))
    child.signal(signal.SIGTERM)
    assert await child.wait() == 1
    assert logged(child, "drain.out_of_time")


async def test_even_a_loop_that_hangs_ends(tmp_path: Path) -> None:
    program = tmp_path / "hang.py"
    program.write_text(
        "import asyncio, time\n"
        "from server.drain import Shutdown\n"
        "async def main():\n"
        "    shutdown = Shutdown(1)\n"
        "    shutdown.serving = True\n"
        "    shutdown.listen()\n"
        '    print(\'{"event": "listening"}\', flush=True)\n'
        "    await shutdown.asked.wait()\n"
        "    time.sleep(600)\n"
        "asyncio.run(main())\n"
    )
    child = Child(
        [sys.executable, str(program)], log=tmp_path / "hang.log", env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    await child.start()
    await until(lambda: logged(child, "listening"))
    child.signal(signal.SIGTERM)
    assert await child.wait() == 1


async def test_a_worker_gives_its_leases_back(start: Start, mongodb_url: str, database: str) -> None:
    child = await start("worker", drain_s=600, instance="worker-1")
    async with AsyncMongoClient[dict[str, Any]](mongodb_url) as client:
        followers = client[database]["followers"]

        async def leased() -> int:
            return await followers.count_documents({"owner": "worker-1"})

        await until(leased)
        child.signal(signal.SIGTERM)
        assert await child.wait() == 0
        assert await leased() == 0
        assert await followers.count_documents({"owner": None}) > 0
