"""`rialto dev` as a person runs it: opens with the demo, moves, survives a crash, closes, leaves nothing behind."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import psutil
import pytest

from server.dev.api import Api
from server.dev.demo import rfc3339
from server.dev.demo_auctions import AUCTIONS
from server.dev.demo_jobs import JOBS
from server.dev.greeting import greeting
from tests.waiting import until

pytestmark = pytest.mark.timeout(240)


class Market:
    """A run of `rialto dev` and what it printed."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.printed = ""

    @property
    def urls(self) -> list[str]:
        return re.findall(r"web-\d +(http://\S+)", self.printed)

    async def read_until(self, text: str) -> None:
        assert self.process.stdout is not None
        while text not in self.printed:
            line = (await self.process.stdout.readline()).decode()
            assert line, f"it ended:\n{self.printed}"
            self.printed += line

    def parts(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children(recursive=True)

    def part(self, *words: str) -> psutil.Process:
        """The one process, not its guard, that has these words in its command line."""
        (found,) = (part for part in self.parts() if {*words} <= {*part.cmdline()} and "-I" not in part.cmdline())
        return found

    async def stop(self) -> int:
        parts = self.parts()
        self.process.send_signal(signal.SIGINT)
        code = await self.process.wait()
        await until(lambda: not any(part.is_running() for part in parts))
        return code


async def command(folder: Path, *arguments: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", *arguments),
        env={
            "RIALTO_DATA_DIR": str(folder),
            "RIALTO_SITE_DIR": str(folder / "site"),
            "RIALTO_PORT": "0",
            "PATH": "/usr/bin:/bin",
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


@pytest.fixture(scope="module")
async def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For data, and with what stands in for the web app."""
    folder = tmp_path_factory.mktemp("market")
    (folder / "site").mkdir()
    (folder / "site" / "index.html").write_text("<!doctype html><title>Rialto</title>")
    return folder


@pytest.fixture(scope="module")
async def market(folder: Path) -> AsyncIterator[Market]:
    """The first run, with the demo loaded."""
    market = Market(await command(folder, "dev", "--instances", "2"))
    await market.read_until("Ctrl-C stops everything")
    yield market
    if market.process.returncode is None:
        market.process.kill()
        await market.process.wait()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def get(session: aiohttp.ClientSession, url: str) -> Any:
    async with session.get(url) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def test_the_app_is_where_the_greeting_says(market: Market, session: aiohttp.ClientSession) -> None:
    (url,) = re.findall(r"The market is open \(.+ s\): (\S+)", market.printed)
    async with session.get(url) as page:
        assert (page.status, page.content_type) == (200, "text/html")


async def test_the_demo_is_there(market: Market, session: aiohttp.ClientSession) -> None:
    jobs: list[dict[str, Any]] = []
    page: dict[str, Any] = {"next_cursor": ""}
    while page["next_cursor"] is not None:
        cursor = f"&cursor={page['next_cursor']}" if page["next_cursor"] else ""
        page = await get(session, f"{market.urls[1]}/api/v1/jobs?sort=oldest&limit=50{cursor}")
        jobs += page["items"]
    first: dict[str, dict[str, Any]] = {}
    for job in jobs:
        first.setdefault(job["title"], job)
    assert len(first) == len(JOBS) == 60
    assert len({job["category"] for job in first.values()}) > 20
    held = {auction.title: auction for auction in AUCTIONS}
    statuses = Counter((held[title].stage, first[title]["auction"]["status"]) for title in held)
    expected = {
        "open": "open",
        "scheduled": "scheduled",
        "paused": "paused",
        "cancelled": "cancelled",
        "no_bids": "closed",
        "reserve_not_met": "closed",
        "awarded": "awarded",
        "accepted": "accepted",
        "declined": "closed",
    }
    assert statuses == Counter((auction.stage, expected[auction.stage]) for auction in AUCTIONS)


async def test_what_the_greeting_says_to_try_works_beside_a_strangers_auctions(
    market: Market, session: aiohttp.ClientSession
) -> None:
    url = market.urls[0]
    api = Api(session, url)
    stranger = {"email": "s@example.com", "password": "a long password", "name": "Stranger", "role": "client"}
    api.token = (await api.post("/auth/register", stranger))["access_token"]
    end_at = rfc3339(datetime.now(UTC) + timedelta(minutes=14))  # the one that the greeting would like best
    auction = {"format": "reverse", "start_amount": 10_000, "end_at": end_at}
    job = {"title": "A stranger's", "description": "Nobody's business.", "category": "crafts", "auction": auction}
    await api.post("/jobs", {**job, "budget": {"min": 0, "max": 10_000, "currency": "EUR"}})

    said = await greeting(url, logs=Path("logs"), began=0.0, simulated=True)
    credentials = re.findall(r"-d '(\{.+?\})'", said)
    assert len(credentials) == 1
    async with session.post(f"{url}/api/v1/auth/login", json=orjson.loads(credentials[0])) as answer:
        token = (await answer.json())["access_token"]
    (auction_id,) = re.findall(r"streams/auction:(\w+)/", said)
    (owner,) = re.findall(r"streams/user:(\w+)/", said)
    for stream in (f"auction:{auction_id}", f"user:{owner}"):
        headers = {"Authorization": f"Bearer {token}"}
        async with session.get(f"{url}/api/v1/streams/{stream}/events", headers=headers) as answer:
            assert answer.status == 200, await answer.text()


async def test_what_it_suggests_to_watch_moves(market: Market, session: aiohttp.ClientSession) -> None:
    command = re.search(r"curl -N -H 'Accept: (\S+)' (\S+)", market.printed)
    assert command is not None
    seen: list[int] = []
    timeout = aiohttp.ClientTimeout(total=None)
    async with session.get(command[2], headers={"Accept": command[1]}, timeout=timeout) as answer:
        async for line in answer.content:
            if line.startswith(b"id: "):
                seen.append(int(line[4:]))
            if len(seen) >= 2:
                break
    assert seen == [1, 2]  # opened, and a bid of a simulated user


async def test_a_demo_account_can_log_in(market: Market, session: aiohttp.ClientSession) -> None:
    suggested = re.search(r"-d '(\{.*\})' (\S+)", market.printed)
    assert suggested is not None
    headers = {"Content-Type": "application/json"}
    async with session.post(suggested[2], data=suggested[1], headers=headers) as answer:
        assert answer.status == 200
        login = await answer.json()
    assert login["user"]["role"] in ("client", "both")
    followed = re.search(r"(http\S+/streams/user:\S+)/events", market.printed)
    assert followed is not None
    headers = {"Authorization": f"Bearer {login['access_token']}"}
    async with session.get(followed[1], headers=headers) as answer:
        assert (await answer.json())["stream"] == f"user:{login['user']['id']}"


async def test_a_second_run_is_refused(market: Market, folder: Path) -> None:
    second = await command(folder, "dev")
    output, _ = await second.communicate()
    assert second.returncode == 1
    assert f"runs already (process {market.process.pid})" in output.decode()


async def test_a_killed_instance_comes_back(market: Market, session: aiohttp.ClientSession) -> None:
    url = market.urls[0]
    before = market.part("serve", f"--port={url.rpartition(':')[2]}")
    before.kill()
    await market.read_until("web-1 ended with code 137")

    async def ready() -> bool:
        try:
            async with session.get(f"{url}/health/ready") as answer:
                return answer.status == 200
        except aiohttp.ClientError:
            return False

    await until(ready, 0.1)


async def test_it_closes_cleanly_and_finds_its_data_again(market: Market, folder: Path) -> None:
    assert await market.stop() == 0
    await market.read_until("The market is closed.")
    assert "Traceback" not in market.printed
    for log in (folder / "logs").glob("*.log"):
        assert "Traceback" not in log.read_text(), log

    again = Market(await command(folder, "dev", "--instances", "1"))
    await again.read_until("Ctrl-C stops everything")
    assert "is there from an earlier run" in again.printed
    parts = again.parts()
    again.process.kill()
    await again.process.wait()
    await until(lambda: not any(part.is_running() for part in parts))
