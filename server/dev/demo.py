"""Loads the demo market through the public REST interface: 40 people, 60 jobs, 15 auctions in every state.

All calls carry keys derived from what they do, so a load that was interrupted is simply run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import aiohttp

from server.clock import derived_id
from server.dev.api import Api, ApiProblem
from server.dev.demo_auctions import AUCTIONS, CANCELLED_BECAUSE, COVER_LETTERS, DECLINED_BECAUSE, Auction
from server.dev.demo_jobs import JOBS, Job
from server.dev.demo_people import ADMIN, BIDDERS, CITIES, OWNERS, PASSWORD, PEOPLE, Person, profile

_AT_ONCE: Final = 4
"""Calls under way at a time; a registration keeps a core busy."""
_ENDED_AFTER_S: Final = 10
"""How long those auctions run that the demo shows as ended: time enough for their bids."""
_MONEY_UNITS: Final = {"JPY": 1}
"""Minor units per unit of a currency, where they are not 100."""
_NOT_BETTER: Final = frozenset({"BID_TOO_WEAK", "ALREADY_LEADING", "LIMIT_NOT_IMPROVED"})
"""Refusals that are a part of bidding."""


@asynccontextmanager
async def web_session() -> AsyncIterator[aiohttp.ClientSession]:
    """A session for `Api`s."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        yield session


def account(session: aiohttp.ClientSession, base: str, person: Person) -> Api:
    """The calls of one person of the demo."""
    return Api(session, base, email=person.email, password=PASSWORD)


async def seed(
    base: str,
    *,
    grant_admin: Callable[[str], Awaitable[object]] | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Load the demo into the market at `base`, unless it is there.

    Args:
        base: where an instance is.
        grant_admin: makes the account with an address an admin's. Without it there is no admin, and nothing is paused.
        say: where news for a person go.

    Raises:
        ApiProblem: the market refused something, or is not there.
    """
    async with web_session() as session:
        demo = Demo(session, base)
        if await demo.is_loaded():
            say("is there from an earlier run")
            return
        say("is loading, this once ...")
        await demo.load(grant_admin)
        say(f"{len(PEOPLE)} people, {len(JOBS)} jobs, {len(AUCTIONS)} auctions")


class Demo:
    """One load of the demo."""

    def __init__(self, session: aiohttp.ClientSession, base: str) -> None:
        self._accounts = {person: account(session, base, person) for person in (*PEOPLE, ADMIN)}
        self._limit = asyncio.Semaphore(_AT_ONCE)
        self._has_admin = False

    async def is_loaded(self) -> bool:
        """Whether an earlier load came to its end: the last thing it does is to fill in the last freelancer's profile."""
        last = BIDDERS[-1]
        try:
            user = await self._accounts[last].sign_in()
        except ApiProblem as problem:
            if problem.code == "UNAUTHENTICATED":
                return False
            raise
        return bool(user["about"] == profile(last)["about"])

    async def load(self, grant_admin: Callable[[str], Awaitable[object]] | None) -> None:
        """Load everything."""
        await self._each(self._register(person) for person in PEOPLE)
        if grant_admin is not None:
            admin = self._accounts[ADMIN]
            await admin.register(ADMIN.name, ADMIN.role)
            await grant_admin(ADMIN.email)
            await admin.sign_in()
            self._has_admin = True
        held = {auction.title: auction for auction in AUCTIONS}
        await self._each(self._post(job, None) for job in JOBS if job.title not in held)
        await asyncio.gather(*(self._hold(job, held[job.title]) for job in JOBS if job.title in held))
        for freelancer in BIDDERS:
            await self._accounts[freelancer].patch("/users/me", profile(freelancer))

    async def _each(self, calls: Iterable[Awaitable[Any]]) -> None:
        async def limited(call: Awaitable[Any]) -> None:
            async with self._limit:
                await call

        await asyncio.gather(*(limited(call) for call in calls))

    async def _register(self, person: Person) -> None:
        await self._accounts[person].register(person.name, person.role)

    async def _post(self, job: Job, auction: Auction | None) -> dict[str, Any]:
        """Post the job, with its auction if it has one; returns it."""
        body = job_body(job)
        if auction is not None:
            body["auction"] = auction_terms(auction, job)
        posted: dict[str, Any] = await self._accounts[owner_of(job)].post("/jobs", body, key=_key("post", job.title))
        return posted

    async def _hold(self, job: Job, auction: Auction) -> None:
        """Post the auction and bring it to its stage."""
        try:
            posted = await self._post(job, auction)
        except ApiProblem as problem:
            if problem.code == "IDEMPOTENCY_MISMATCH":  # posted by an interrupted load, with an earlier end
                return
            raise
        path = f"/auctions/{posted['auction']['id']}"
        winner = await self._bid(path, job, auction)
        owner = self._accounts[owner_of(job)]
        if auction.stage == "cancelled":
            await owner.post(f"/jobs/{posted['id']}/cancel", {"reason": CANCELLED_BECAUSE})
        elif auction.stage == "paused" and self._has_admin:
            await self._accounts[ADMIN].post(f"{path}/pause")
        elif auction.ended:
            await self._conclude(path, auction, owner, winner)

    async def _conclude(self, path: str, auction: Auction, owner: Api, winner: Api | None) -> None:
        """After the end: the award of proposals, the winner's answer."""
        chosen_by_client = auction.format == "proposal"
        if auction.stage not in ("accepted", "declined") or winner is None:
            await _event(owner, path, "closed")
            return
        await _event(owner, path, "closed" if chosen_by_client else "awarded")
        if chosen_by_client:
            mine = (await winner.get(path))["mine"]
            await owner.post(f"{path}/award", {"bidder": mine["pseudonym"]})
        verb, body = ("accept", {}) if auction.stage == "accepted" else ("decline", {"reason": DECLINED_BECAUSE})
        await winner.post(f"{path}/{verb}", body)

    async def _bid(self, path: str, job: Job, auction: Auction) -> Api | None:
        """Place the demo's bids one after the other; returns who is ahead (or, of hidden ones, whose amount is best)."""
        dice = Random(job.title)
        bidders = dice.sample(BIDDERS, k=max(2, min(len(BIDDERS), auction.bids - 1)))
        best: tuple[int, Person] | None = None
        hidden = auction.format in ("sealed", "proposal")
        for turn in range(auction.bids):
            bidder = bidders[turn % len(bidders)]
            body = bid_body(auction, job, turn, dice)
            try:
                ack = await self._accounts[bidder].post(f"{path}/bids", body, key=_key("bid", job.title, str(turn)))
            except ApiProblem as problem:
                if problem.code not in _NOT_BETTER:
                    raise
                continue
            if (best is None or body["amount"] < best[0]) if hidden else ack["leading"]:
                best = body["amount"], bidder
        return self._accounts[best[1]] if best else None


async def _event(api: Api, path: str, type_: str) -> None:
    """Return once the auction's stream has an event of this type, by long-polling it."""
    stream = "/streams/auction:" + path.rpartition("/")[2] + "/events"
    seq = 0
    while True:
        page = await api.get(stream, after=seq, wait=20)
        if any(event["type"] == type_ for event in page["events"]):
            return
        seq = page["seq"]


def owner_of(job: Job) -> Person:
    """Whose job it is."""
    return OWNERS[JOBS.index(job) % len(OWNERS)]


def minor(amount: float, currency: str) -> int:
    """Minor units for an amount in whole units."""
    return round(amount * _MONEY_UNITS.get(currency, 100))


def job_body(job: Job) -> dict[str, Any]:
    """A job as `POST /jobs` takes it, without an auction."""
    location = {"remote": True} if job.city is None else {**CITIES[job.city]._asdict(), "remote": False}
    return {
        "title": job.title,
        "description": job.description,
        "category": job.category,
        "skills": list(job.skills),
        "budget": {
            "min": minor(job.low, job.currency),
            "max": minor(job.high, job.currency),
            "currency": job.currency,
        },
        "location": location,
        "visibility": "public",
    }


def auction_terms(auction: Auction, job: Job) -> dict[str, Any]:
    """The auction as `POST /jobs` takes it, with times from now on."""
    now = datetime.now(UTC)
    extra = dict(auction.extra)
    if "reserve_amount" in extra:
        extra["reserve_amount"] = minor(extra["reserve_amount"], job.currency)
    if "increments" in extra:
        extra["increments"] = [
            {key: minor(amount, job.currency) for key, amount in row.items()} for row in extra["increments"]
        ]
    start = job.low if auction.format == "english" else job.high
    terms = {
        "format": auction.format,
        "start_amount": minor(start, job.currency),
        "end_at": rfc3339(now + timedelta(seconds=_ENDED_AFTER_S if auction.ended else auction.runs_s)),
        **extra,
    }
    if auction.starts_s:
        terms["start_at"] = rfc3339(now + timedelta(seconds=auction.starts_s))
    return terms


def bid_body(auction: Auction, job: Job, turn: int, dice: Random) -> dict[str, Any]:
    """The bid of one turn: each a little better than those before, every third an automatic one with some reserve."""
    if auction.format in ("sealed", "proposal"):
        body: dict[str, Any] = {"amount": minor(dice.randint(job.low, job.high), job.currency)}
        if auction.format == "proposal":
            body |= {"delivery_days": dice.randint(7, 45), "cover_letter": COVER_LETTERS[turn % len(COVER_LETTERS)]}
        return body
    automatic = turn % 3 == 2
    progress = 0.02 + 0.035 * turn + (0.06 if automatic else 0) + dice.uniform(0, 0.01)
    amount = job.low * (1 + progress) if auction.format == "english" else job.high * (1 - progress)
    return {"amount": minor(round(amount), job.currency), "kind": "auto" if automatic else "exact"}


def rfc3339(moment: datetime) -> str:
    """`2026-11-21T10:00:00.000Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _key(*parts: str) -> str:
    """The same key for the same act, however often the load is run."""
    return derived_id("demo", *parts)
