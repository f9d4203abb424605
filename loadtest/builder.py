"""Makes the town: accounts, jobs whose auctions run, and rooms to talk in, all over REST as people would."""

from __future__ import annotations

import asyncio
import math
import secrets
from collections.abc import Awaitable, Iterable, Sequence
from random import Random
from typing import Any, Final

import aiohttp

from loadtest.town import PASSWORD, START_AMOUNT, STEP, Town, job, lot_of
from server.dev.api import Api

_AT_ONCE: Final = 8
"""Calls under way; more would only wait for the same core."""

_CIRCLE: Final = 12
"""Freelancers who talk with one client."""


async def build(urls: Sequence[str], *, people: int, talkers: int, limited: bool) -> Town:
    """Make a town in a running market.

    Args:
        people, talkers: how many accounts of each kind are wanted at least; more users than accounts share them.

    Raises:
        ApiProblem: the market refused something.
    """
    town = Town(list(urls), limited)
    connector = aiohttp.TCPConnector(limit=0, ssl=False)
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as http:
        builder = _Builder(http, town)
        circles = math.ceil(talkers / (_CIRCLE + 1))
        await builder.people(people, lots=12 + people // 20)
        await _each(builder.circle() for _ in range(circles))
    return town


async def _each(calls: Iterable[Awaitable[None]]) -> None:
    turn = asyncio.Semaphore(_AT_ONCE)

    async def limited(call: Awaitable[None]) -> None:
        async with turn:
            await call

    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(limited(call))


class _Builder:
    def __init__(self, http: aiohttp.ClientSession, town: Town) -> None:
        self._http = http
        self._town = town
        self._dice = Random()

    async def people(self, count: int, lots: int) -> None:
        clients = [await self._register("client", self._town.clients) for _ in range(3)]

        async def resident() -> None:
            await self._register("freelancer", self._town.people)

        async def lot(index: int) -> None:
            format_ = "sealed" if index % 10 == 9 else "reverse" if index % 3 == 2 else "english"
            posted = await clients[index % 3].post("/jobs", job(f"Paint house {index}", format_, 86_400))
            self._town.lots.append(lot_of(posted))

        await _each([*(resident() for _ in range(count)), *(lot(index) for index in range(lots))])

    async def circle(self) -> None:
        """A client, freelancers who have bid on a job of theirs, the job's room, and a room for each two."""
        client = await self._register("client", self._town.talkers)
        freelancers = [await self._register("freelancer", self._town.talkers) for _ in range(_CIRCLE)]
        sealed = self._dice.random() < 0.5  # then the freelancers are guests to each other
        posted = await client.post("/jobs", job("Talk about a house", "proposal" if sealed else "english", 86_400))
        owner = (await client.get("/users/me"))["id"]
        await client.post("/rooms", {"kind": "job", "job": posted["id"]})
        for turn, freelancer in enumerate(freelancers):
            bid: dict[str, Any] = {"amount": START_AMOUNT + turn * STEP}
            if sealed:
                bid = {"amount": START_AMOUNT - turn * STEP, "delivery_days": 3, "cover_letter": "I have a ladder."}
            await freelancer.post(f"/auctions/{posted['auction']['id']}/bids", bid, key=secrets.token_hex(8))
            await freelancer.post("/rooms", {"kind": "job", "job": posted["id"]})
            await freelancer.post("/rooms", {"kind": "dm", "user": owner})

    async def _register(self, role: str, among: list[str]) -> Api:
        """A new account, entered into one of the town's lists."""
        email = f"{secrets.token_hex(8)}@example.com"
        api = Api(self._http, self._dice.choice(self._town.urls), email=email, password=PASSWORD)
        await api.register("Somebody", role)
        among.append(email)
        return api
