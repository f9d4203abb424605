"""Asks everybody on its row's stage, and notices what refused calls have changed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from server.clock import new_id
from server.errors import CODES
from server.web.router import API_PREFIX
from tests.attack.matrix import FRESH, ROLES, Row, fill, is_success
from tests.attack.matrix_stage import Cast, Stage
from tests.attack.matrix_things import MAKERS, Maker
from tests.handlers.market import Market
from tests.server.realtime.wire import Wire

KEYED: Final = {"POST /auctions/<>/bids", "POST /rooms/<>/messages"}
"""What takes no request without an Idempotency-Key."""

_FOLLOWING: Final = {"view_count": 0, "auction": 0, "ends_at": 0, "status": 0, "unannounced": 0}
"""Fields of jobs that follow the auctions' events, sometime."""


class Theatre:
    """Stages, kept for the rows that are about the same things as long as nobody has changed them."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._cast = Cast(market)
        self._stages: dict[frozenset[Maker], Stage] = {}

    async def answers(self, row: Row) -> dict[str, str]:
        """What each role is answered; and what those who were refused have changed all the same."""
        refused = [role for role, word in row.expected.items() if not is_success(word)]
        admitted = [role for role in ROLES if role not in refused]
        answers = await self._refused(row, refused)
        groups = [[role] for role in admitted] if row.changes and not row.harmless else [admitted]
        for found in await asyncio.gather(*(self._admitted(row, roles) for roles in groups)):
            answers |= found
        if row.personal:
            await self.close()
            self._cast = Cast(self._market)
        return answers

    async def close(self) -> None:
        """Hang up everywhere."""
        while self._stages:
            await self._stages.popitem()[1].close()

    async def _refused(self, row: Row, roles: list[str]) -> dict[str, str]:
        async with self._stage(row) as stage:
            await enter(stage, row, roles)
            if not row.changes:
                return await ask_all(stage, row, roles)
            before = await self._fingerprint(stage)
            answers = await ask_all(stage, row, roles)
            after = await self._fingerprint(stage)
            if changed := [name for name in after if after[name] != before.get(name)]:
                stage.spent = True
                answers["changed by the refused"] = ", ".join(changed)
            return answers

    async def _admitted(self, row: Row, roles: list[str]) -> dict[str, str]:
        async with self._stage(row) as stage:
            stage.spent = row.changes
            await enter(stage, row, roles)
            return await ask_all(stage, row, roles)

    @asynccontextmanager
    async def _stage(self, row: Row) -> AsyncIterator[Stage]:
        """One with the row's things, as if nothing had happened on it."""
        makers = frozenset(MAKERS[thing] for thing in row.things if thing in MAKERS)
        stage = self._stages.pop(makers, None) or Stage(self._cast, MAKERS)
        kept = False
        try:
            await stage.set(row.things - {FRESH})
            yield stage
            kept = not stage.spent
        finally:
            if kept:
                self._stages[makers] = stage
            else:
                await stage.close()

    async def _fingerprint(self, stage: Stage) -> dict[str, Any]:
        """What there is, but for what follows it sometime."""
        db = self._market.context.db
        hashes: dict[str, Any] = (await db.command("dbHash"))["collections"]
        own = db["jobs"].find({"owner": stage.things["owner"]}, _FOLLOWING)
        places = await db["rooms"].distinct("place")
        events = await db["events"].count_documents({})  # what was deleted loses its text in them, sometime
        return {**hashes, "events": events, "jobs": await own.to_list(), "rooms": places}


async def enter(stage: Stage, row: Row, roles: list[str]) -> None:
    """Have everybody's sockets there before anything is asked."""
    if row.is_command:
        for role in roles:
            await stage.wire(role, row.verb)


async def ask_all(stage: Stage, row: Row, roles: list[str]) -> dict[str, str]:
    """What each is answered who asks at the same time."""
    return dict(zip(roles, await asyncio.gather(*(ask(stage, row, role) for role in roles)), strict=True))


async def ask(stage: Stage, row: Row, role: str) -> str:
    """What a role is answered."""
    things = {**stage.things, FRESH: new_id()}
    if row.is_command:
        wire = await stage.wire(role, row.verb)
        if not isinstance(wire, Wire):
            return wire
        ack = await wire.command(row.target, fill(row.sent, things), namespace=row.verb)
        return "ok" if ack["ok"] else str(ack["error"]["code"])
    headers = {"Accept": row.accept}
    if role != "anonymous":
        headers["Authorization"] = f"Bearer {(await stage.person(role)).token}"
    if row.place in KEYED:
        headers["Idempotency-Key"] = things[FRESH]
    sent = {} if row.sent is None else {"json": fill(row.sent, things)}
    return await answer_to(stage.market, row.verb, fill(row.target, things), headers, **sent)


async def answer_to(market: Market, method: str, path: str, headers: dict[str, str], **sent: Any) -> str:
    """The code of a refusal, the status of everything else."""
    async with market.http.request(method, API_PREFIX + path, headers=headers, **sent) as answer:
        if answer.status < 300 or method == "HEAD":
            return str(answer.status)
        problem = await answer.json(content_type="application/problem+json")
        assert answer.status == problem["status"] == CODES[problem["code"]].status, problem
        return str(problem["code"])
