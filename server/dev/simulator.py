"""Demo users who bid at a running market through real sockets, for ever and at a humane pace.

A `Director` sees to it that some short auctions run: it posts new ones, and the winners accept. A dozen `Bidder`s, each with a
socket at one of the instances, follow them; each has a limit of its own per auction, so that prices come to rest as they do
among people. Now and then one asks something in the job's room, and the client answers. When an instance goes away its bidders resume at another from the last event they saw.
"""

from __future__ import annotations

import asyncio
import secrets
import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any, Final

import aiohttp
import structlog

from server.dev.api import Api, ApiProblem
from server.dev.demo import account, auction_terms, job_body, owner_of, rfc3339, web_session
from server.dev.demo_auctions import Auction
from server.dev.demo_jobs import JOBS
from server.dev.demo_people import BIDDERS, Person
from server.dev.small_talk import REACTIONS, answer, question
from server.realtime.client import LiveSocket, SocketProblem

BIDDING: Final = 12
"""Bidders who are online."""
RUNNING: Final = 3
"""Auctions that the director keeps running."""
LASTS_S: Final = (180, 420)
"""Shortest and longest planned length of such an auction."""
SOFT_CLOSE: Final = {"window_s": 20, "extension_s": 20}
PAUSE_S: Final = 18.0
"""Mean time between two thoughts of one bidder."""
ARRIVAL_S: Final = 6.0
"""The bidders come online one after the other within this time."""
LOOK_S: Final = 5.0
"""How often the director looks whether an auction is over, or a question open."""
CURIOUS: Final = 0.15
"""How likely a bidder asks something after a bid."""

log = structlog.get_logger(__name__)


@dataclass
class Lot:
    """One auction as the bidders see it; amounts in minor units.

    Attributes:
        owner: who posted it in this run.
        questions: seqs of the messages in the job's room that are to be answered.
    """

    id: str
    job: str
    sign: int
    start: int
    ends: datetime
    price: int | None = None
    winner: Person | None = None
    over: bool = False
    limits: dict[Person, int] = field(default_factory=dict)
    owner: Person | None = None
    questions: list[int] = field(default_factory=list)

    def limit_of(self, bidder: Person) -> int:
        """The amount beyond which this bidder will not go: 3 to 45 percent better than the start."""
        if bidder not in self.limits:
            self.limits[bidder] = round(
                self.start * (1 + self.sign * Random(bidder.name + self.id).uniform(0.03, 0.45))
            )
        return self.limits[bidder]

    def next_amount(self, dice: Random) -> int:
        """A bid one to three percent better than the price; the start if there is none."""
        if self.price is None:
            return self.start
        return self.price + self.sign * max(1, round(self.price * dice.uniform(0.01, 0.03)))

    def affordable(self, amount: int, bidder: Person) -> bool:
        """Whether the amount is within the bidder's limit."""
        return self.sign * amount <= self.sign * self.limit_of(bidder) and amount > 0

    def take(self, event: dict[str, Any]) -> None:
        """Learn from an event of the stream."""
        self.price = event.get("price", self.price)
        if "end_at" in event:
            self.ends = datetime.fromisoformat(event["end_at"])
        if event["type"] in ("closed", "cancelled"):
            self.over = True


async def simulate(urls: Sequence[str]) -> None:
    """Run until cancelled, or until SIGTERM or SIGINT asks to stop."""
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, asked.set)
    async with web_session() as session:
        lots: dict[str, Lot] = {}
        people = Random().sample(BIDDERS, k=BIDDING)
        tasks = [asyncio.create_task(Director(session, urls, lots).run(), name="director")]
        tasks += [asyncio.create_task(Bidder(session, urls, lots, person).run(), name=person.name) for person in people]
        stopping = asyncio.create_task(asked.wait())
        done, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (*tasks, stopping):
            task.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)
        for task in done - {stopping}:
            task.result()  # a failure that nobody foresaw ends the process, and the supervisor starts another


class Director:
    """Keeps auctions running, and lets their winners accept."""

    def __init__(self, session: aiohttp.ClientSession, urls: Sequence[str], lots: dict[str, Lot]) -> None:
        self._session = session
        self._urls = urls
        self._lots = lots
        self._dice = Random()

    async def run(self) -> None:
        """For ever."""
        adopted = False
        while True:
            try:
                if not adopted:
                    await self._adopt()
                    adopted = True
                for lot in [lot for lot in self._lots.values() if lot.over or lot.ends < datetime.now(UTC)]:
                    await self._conclude(lot)
                while len(self._lots) < RUNNING:
                    await self._post()
                for lot in self._lots.values():
                    await self._answer(lot)
            except ApiProblem as problem:
                log.warning("simulator.director", problem=str(problem))
            await asyncio.sleep(LOOK_S)

    def _account(self, person: Person) -> Api:
        return account(self._session, self._dice.choice(self._urls), person)

    async def _adopt(self) -> None:
        """Go on with the short auctions that an earlier run left."""
        now = datetime.now(UTC)
        anonymous = Api(self._session, self._dice.choice(self._urls))
        for job in (await anonymous.get("/jobs", status="open", sort="newest", limit=100))["items"]:
            auction = job["auction"]
            if auction is None or auction["status"] != "open" or auction["format"] not in ("reverse", "english"):
                continue
            ends = datetime.fromisoformat(auction["end_at"])
            if now < ends < now + timedelta(seconds=2 * LASTS_S[1]):
                sign = 1 if auction["direction"] == "forward" else -1
                lot = Lot(auction["id"], job["id"], sign, auction["start_amount"], ends, auction["price"])
                self._lots[lot.id] = lot

    async def _post(self) -> None:
        job = self._dice.choice(JOBS)
        lasts_s = self._dice.randint(*LASTS_S)
        forward = job.category in ("surplus", "concessions")
        terms = auction_terms(Auction(job.title, "english" if forward else "reverse", "open", runs_s=lasts_s), job)
        ends = datetime.now(UTC) + timedelta(seconds=lasts_s)
        terms["soft_close"] = {**SOFT_CLOSE, "hard_end_at": rfc3339(ends + timedelta(seconds=lasts_s))}
        body = {**job_body(job), "auction": terms}
        owner = owner_of(job)
        posted = await self._account(owner).post("/jobs", body, key=secrets.token_hex(16))
        sign = 1 if forward else -1
        lot = Lot(posted["auction"]["id"], posted["id"], sign, terms["start_amount"], ends, owner=owner)
        self._lots[lot.id] = lot

    async def _answer(self, lot: Lot) -> None:
        """Answer what was asked in the job's room since the last look."""
        if lot.owner is None or not lot.questions:
            return
        api = self._account(lot.owner)
        room = await api.post("/rooms", {"kind": "job", "job": lot.job})
        questions, lot.questions = lot.questions, []
        for seq in questions:
            said = {"text": answer(self._dice), "reply_to": seq}
            await api.post(f"/rooms/{room['id']}/messages", said, key=f"answer-{seq}")

    async def _conclude(self, lot: Lot) -> None:
        """Let the winner accept, once the auction has really ended."""
        auction = await Api(self._session, self._dice.choice(self._urls)).get(f"/auctions/{lot.id}")
        if auction["status"] == "open":
            lot.ends = datetime.fromisoformat(auction["end_at"])
            lot.over = False
            return
        del self._lots[lot.id]
        if lot.winner is not None and auction["status"] == "awarded":
            await self._account(lot.winner).post(f"/auctions/{lot.id}/accept")


class Bidder:
    """One demo freelancer at a socket."""

    def __init__(
        self, session: aiohttp.ClientSession, urls: Sequence[str], lots: dict[str, Lot], person: Person
    ) -> None:
        self._session = session
        self._urls = urls
        self._lots = lots
        self._person = person
        self._dice = Random()
        self._seen: dict[str, int] = {}

    async def run(self) -> None:
        """For ever: connect somewhere, bid until the connection breaks, go elsewhere."""
        await asyncio.sleep(self._dice.uniform(0, ARRIVAL_S))
        while True:
            socket = LiveSocket("/bidding", self._learn)
            try:
                url = self._dice.choice(self._urls)
                api = account(self._session, url, self._person)
                await api.sign_in()
                await socket.connect(url, api.token)
                await self._bid(socket, api)
            except (SocketProblem, ApiProblem) as problem:
                log.info("simulator.reconnect", person=self._person.name, problem=str(problem))
            finally:
                await socket.close()
            await asyncio.sleep(self._dice.uniform(0.5, 3.0))

    async def _bid(self, socket: LiveSocket, api: Api) -> None:
        following: set[str] = set()
        while socket.connected:
            await asyncio.sleep(min(self._dice.expovariate(1 / PAUSE_S), 4 * PAUSE_S))
            for gone in following - self._lots.keys():
                await socket.call("unsubscribe", {"stream": f"auction:{gone}"})
                following.discard(gone)
                self._seen.pop(gone, None)
            for lot in [lot for lot in self._lots.values() if lot.id not in following]:
                await self._follow(socket, lot)
                following.add(lot.id)
            running = [lot for lot in self._lots.values() if not lot.over]
            if running:
                lot = self._dice.choice(running)
                if await self._consider(socket, lot) and self._dice.random() < CURIOUS:
                    await self._ask(api, lot)

    async def _follow(self, socket: LiveSocket, lot: Lot) -> None:
        """Subscribe: with the state the first time, from the last event seen after a break."""
        request: dict[str, Any] = {"stream": f"auction:{lot.id}"}
        more = True
        while more:
            if lot.id in self._seen:
                request["after"] = self._seen[lot.id]
            ack = await socket.call("subscribe", request)
            if not ack["ok"]:
                log.warning("simulator.subscribe", error=ack["error"])
                return
            if ack["state"]:
                lot.price = ack["state"]["price"]
            self._learn({"stream": ack["stream"], "events": ack["events"] or [], "seq": ack["seq"]})
            more = ack["more"]

    def _learn(self, message: dict[str, Any]) -> None:
        auction = message["stream"].removeprefix("auction:")
        self._seen[auction] = message["seq"]
        lot = self._lots.get(auction)
        for event in message["events"]:
            if lot is not None:
                lot.take(event)

    async def _ask(self, api: Api, lot: Lot) -> None:
        """Say something in the job's room, or just nod to what was said last."""
        room = await api.post("/rooms", {"kind": "job", "job": lot.job})
        messages = f"/rooms/{room['id']}/messages"
        last = (await api.get(messages, limit=1))["items"]
        if last and self._dice.random() < 1 / 3:
            emoji = {"emoji": self._dice.choice(REACTIONS)}
            await api.post(f"{messages}/{last[0]['seq']}/reactions", emoji, key=secrets.token_hex(16))
        else:
            said = await api.post(messages, {"text": question(self._dice)}, key=secrets.token_hex(16))
            lot.questions.append(said["seq"])

    async def _consider(self, socket: LiveSocket, lot: Lot) -> bool:
        """Bid if the next amount is within one's limit, one time in six automatically; whether the bid was taken."""
        if lot.winner is self._person:
            return False
        amount = lot.next_amount(self._dice)
        if not lot.affordable(amount, self._person):
            return False
        automatic = self._dice.random() < 1 / 6
        ack = await self._send(socket, lot, lot.limit_of(self._person) if automatic else amount, automatic)
        least = ack.get("error", {}).get("details", {}).get("min_next")
        if least is not None and lot.affordable(least, self._person):
            ack = await self._send(socket, lot, least, automatic=False)
        if ack["ok"]:
            lot.price = ack["price"]
            if ack["leading"]:
                lot.winner = self._person
        return bool(ack["ok"])

    async def _send(self, socket: LiveSocket, lot: Lot, amount: int, automatic: bool) -> dict[str, Any]:
        """Send one bid, as often as a retry can help, with one key."""
        bid = {
            "auction": lot.id,
            "amount": amount,
            "kind": "auto" if automatic else "exact",
            "key": secrets.token_hex(16),
            "confirm": True,
        }
        while True:
            ack = await socket.call("bid", bid)
            if ack["ok"] or not ack["error"]["retryable"]:
                return ack
            wait_ms = ack["error"].get("details", {}).get("retry_after_ms", 500)
            await asyncio.sleep(wait_ms / 1000)
