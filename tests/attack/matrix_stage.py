"""Where the requests and commands of the matrix happen: people, and things by name, made anew as soon as somebody has changed them.

A stage has its own owner. The other people stay from stage to stage, since nothing that they do on one is known on another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

from server.clock import new_id
from tests.attack.matrix import ROLES
from tests.handlers.market import HOUR_MS, PASSWORD, Market, Person
from tests.server.realtime.wire import Wire
from tests.waiting import until

_KINDS: Final = {"owner": "client", "member": "freelancer", "blocked": "freelancer", "removed": "freelancer"}
"""Roles of accounts; everybody else is both."""

BIDDERS: Final = ("blocked", "removed", "member")
"""In the order of their bids: the member leads."""

_TAKING_BIDS: Final = ("auction", "invited_auction", "proposals", "suspended")
"""Things that are auctions in which the blocked might bid."""


@dataclass(frozen=True)
class Actor(Person):
    """Somebody with an account, logged in."""

    email: str


class Cast:
    """People, by role; each there once somebody asks for it."""

    def __init__(self, market: Market) -> None:
        self.market = market
        self._people: dict[str, Actor] = {}

    async def get(self, role: str) -> Actor:
        """Who plays a role."""
        if role not in self._people:
            self._people[role] = await self.newcomer(role)
        return self._people[role]

    async def newcomer(self, role: str) -> Actor:
        """Somebody else who could play the role."""
        email = f"{new_id()}@example.com"
        body = {"email": email, "password": PASSWORD, "name": role.title(), "role": _KINDS.get(role, "both")}
        status, answer = await self.market.call("POST", "/auth/register", body=body)
        assert status == 201, answer
        newcomer = Actor(answer["user"]["id"], answer["access_token"], answer["refresh_token"], email)
        if role in ("moderator", "admin"):
            await self.market.context.db["users"].update_one({"_id": newcomer.id}, {"$set": {role: True}})
            return await self.again(newcomer)
        return newcomer

    async def again(self, who: Actor) -> Actor:
        """Somebody who has logged in on another device."""
        status, answer = await self.market.call("POST", "/auth/login", body={"email": who.email, "password": PASSWORD})
        assert status == 200, answer
        return Actor(who.id, answer["access_token"], answer["refresh_token"], who.email)


class Stage:
    """Things by name: `owner`, `member` and so on are the ids of people, everything else is made.

    Args:
        cast: who plays. makers: by the name of a thing, who makes it.

    Attributes:
        things: their ids, seqs and so on. spent: whether somebody has changed something.
    """

    def __init__(self, cast: Cast, makers: Mapping[str, Callable[[Stage], Awaitable[None]]]) -> None:
        self.market = cast.market
        self.cast = cast
        self.things: dict[str, Any] = {}
        self.spent = False
        self._makers = makers
        self._owner: Actor | None = None
        self._wires: dict[tuple[str, str], Wire | str] = {}
        self._exits = AsyncExitStack()
        self._blocked = False

    async def close(self) -> None:
        """Hang up."""
        await self._exits.aclose()

    async def person(self, role: str) -> Actor:
        """Who plays a role here."""
        if role != "owner":
            return await self.cast.get(role)
        if self._owner is None:
            self._owner = await self.cast.newcomer("owner")
        return self._owner

    async def set(self, names: Iterable[str]) -> None:
        """Have everybody there, make things, and have the owner block whom it blocks: then it is too late for more things."""
        if not self.things:
            self.things = {role: (await self.person(role)).id for role in ROLES[1:]}
        for name in sorted(names):
            assert name in self.things or not self._blocked, "the blocked could not take part in it"
            await self.have(name)
        if not self._blocked:
            self._blocked = True
            await self._block()

    async def wire(self, role: str, namespace: str) -> Wire | str:
        """The role's connection to a namespace, or the code with which it was refused."""
        place = (role, namespace)
        if place not in self._wires:
            wire = await self._exits.enter_async_context(Wire(str(self.market.http.make_url("/")), "websocket"))
            auth = None if role == "anonymous" else {"token": (await self.person(role)).token}
            answer = await wire.connect(namespace, auth)
            self._wires[place] = wire if "sid" in answer else str(answer["message"])
        return self._wires[place]

    # -- doing things ---------------------------------------------------------------------------------------------------

    async def do(self, role: str, request: str, body: Any = None) -> Any:
        """A request that succeeds; what was answered."""
        method, path = request.split(" ")
        key = new_id() if path.endswith(("/bids", "/messages")) else None
        status, answer = await self.market.call(method, path, await self.person(role), body, key)
        assert status < 300, (role, request, answer)
        return answer

    async def have(self, name: str) -> None:
        """Make a thing unless it is there."""
        if name not in self.things:
            await self._makers[name](self)

    async def _block(self) -> None:
        blocked = (await self.person("blocked")).id
        await self.do("owner", "POST /blocks", {"user": blocked})
        if auctions := [thing for name, thing in self.things.items() if name in _TAKING_BIDS]:

            async def refused() -> bool:
                """Other parts of the server hear of a block a moment later; too weak a bid shows whether they have."""
                status, answer = await self.market.bid(await self.person("blocked"), auctions[0], 1)
                assert status >= 400, answer
                return bool(answer["code"] == "BLOCKED")

            await until(refused)

    async def job(self, auction: dict[str, Any] | None = None, **fields: Any) -> Any:
        """A new job of the owner's."""
        terms = {
            "format": "english",
            "start_amount": 10_000,
            "increments": [{"from": 0, "step": 100}],
            "end_at": self.market.later(20 * HOUR_MS),
            **(auction or {}),
        }
        budget = {"min": 0, "max": 50_000, "currency": "EUR"}
        job = {"title": "Paint a fence", "description": "Green.", "category": "crafts", "budget": budget, **fields}
        return await self.do("owner", "POST /jobs", {**job, "auction": terms})

    async def bids(self, auction: str, *, down: bool = False) -> dict[str, int]:
        """Bids of all who bid; the seq of each."""
        seqs = {}
        for place, role in enumerate(BIDDERS):
            amount = 9_000 - place * 500 if down else 15_000 + place * 500
            seqs[role] = (await self.do(role, f"POST /auctions/{auction}/bids", {"amount": amount}))["seq"]
        return seqs

    async def ids(self, *roles: str) -> list[str]:
        """The ids of people."""
        return [(await self.person(role)).id for role in roles]

    async def say(self, role: str, room: str) -> int:
        """Say something; the seq of the message."""
        answer = await self.do(role, f"POST /rooms/{room}/messages", {"text": f"Good morning from the {role}"})
        return int(answer["seq"])

    async def remove(self, by: str, role: str, room: str) -> None:
        """Remove somebody from a room, by the name that it has there."""
        name = (await self.do(role, f"GET /rooms/{room}"))["me"]
        await self.do(by, f"DELETE /rooms/{room}/members/{name.replace(' ', '%20')}")
