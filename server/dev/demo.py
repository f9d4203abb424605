"""Loads the demo market through the public REST interface: 40 people, 60 jobs, 15 auctions in every state.

All calls carry keys derived from what they do, so a load that was interrupted is simply run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import aiohttp

from server.dev.api import Api, ApiProblem
from server.dev.demo_auctions import AUCTIONS, COVER_LETTERS, REASONS, Auction
from server.dev.demo_jobs import JOBS, Job
from server.dev.demo_people import BIDDERS, CITIES, OWNERS, PASSWORD, PEOPLE, Person

_AT_ONCE: Final = 4
"""Calls under way at a time; registrations keep a core busy each."""
_ENDED_AFTER_S: Final = 8
"""How long those auctions run that the demo shows as ended: time enough for their bids."""
_MINOR_UNITS: Final = {"JPY": 1}
"""Minor units per unit of a currency, where they are not 100."""


@asynccontextmanager
async def web_session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session for `Api`s."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


async def seed(base: str, *, say: Callable[[str], None] = print) -> None:
    """Load the demo into the market at `base`, unless it is there. Raises ApiProblem if the market refuses."""
    async with web_session() as session:
        market = Demo(session, base)
        if await market.is_loaded():
            say("is there")
            return
        say("is loading, once ...")
        await market.load()
        say(f"{len(PEOPLE)} people, {len(JOBS)} jobs, {len(AUCTIONS)} auctions")


class Demo:
    """One load of the demo."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._anonymous = Api(session, base)
        self._accounts = {
            person: Api(session, base, email=person.email, password=PASSWORD) for person in PEOPLE
        }
        self._limit = asyncio.Semaphore(_AT_ONCE)

    async def is_loaded(self) -> bool:
        """Whether an earlier load came to its end: it names itself in the last person's profile."""
        try:
            user = await self._accounts[PEOPLE[-1]].sign_in()
        except ApiProblem as problem:
            if problem.code == "UNAUTHENTICATED":
                return False
            raise
        return user.get("bio") == LAST_WORDS

    async def load(self) -> None:
        """Load everything."""
        await self._each(self._register(person) for person in PEOPLE)
        auctions = {auction.title: auction for auction in AUCTIONS}
        plain = [index for index, job in enumerate(JOBS) if job.title not in auctions]
        held = [(index, auctions[job.title]) for index, job in enumerate(JOBS) if job.title in auctions]
        await self._each(self._post(index, None) for index in plain)
        await self._each(self._hold(index, auction) for index, auction in held)
