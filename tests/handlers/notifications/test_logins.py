"""Logins are told of, once each, to whose account it is."""

from __future__ import annotations

import asyncio

from handlers.notifications.logins import Logins
from handlers.notifications.service import Inboxes
from server.settings import Settings
from tests.handlers.market import PASSWORD, Market, Person, opened
from tests.handlers.notifications.conftest import inbox, kinds, told, until_told


async def log_in(market: Market, who: Person) -> str:
    """The access token of one more login."""
    email = (await market.call("GET", "/users/me", who))[1]["email"]
    status, answer = await market.call("POST", "/auth/login", None, {"email": email, "password": PASSWORD})
    assert status == 200
    return str(answer["access_token"])


async def test_a_login_is_told(market: Market, ann: Person, bob: Person) -> None:
    await log_in(market, ann)
    data = (await until_told(market, ann, "security"))["data"]
    _, sessions = await market.call("GET", "/auth/sessions", ann)
    newest = next(session for session in sessions["items"] if not session["current"])
    assert data == {"event": "login", "session": newest["id"], "device": newest["device"], "at": newest["created_at"]}
    assert await kinds(market, ann) == ["security"]  # not of the registration
    assert await kinds(market, bob) == []
    status, _ = await market.call("DELETE", f"/auth/sessions/{data['session']}", ann)
    assert status == 204
    await inbox(market, ann)


async def test_refreshing_and_failing_are_no_logins(market: Market, ann: Person) -> None:
    email = (await market.call("GET", "/users/me", ann))[1]["email"]
    assert (await market.call("POST", "/auth/login", None, {"email": email, "password": "no" + PASSWORD}))[0] == 401
    assert (await market.call("POST", "/auth/refresh", None, {"refresh_token": ann.refresh}))[0] == 200
    await log_in(market, ann)
    await until_told(market, ann, "security")
    assert await kinds(market, ann) == ["security"]


async def test_none_is_forgotten_and_none_told_twice(settings: Settings) -> None:
    """The sweep dies before it has noted what it told; two workers sweep at once."""
    async with opened(settings, worker=False) as market, opened(settings, worker=False) as other:
        ann, bob = await market.person(), await market.person()
        for who in (ann, ann, bob):
            await log_in(market, who)
        sweeps = [Logins(Inboxes(each.context.streams, 4)) for each in (market, other)]
        await asyncio.gather(*(sweep.sweep() for sweep in sweeps))
        sessions = market.context.db["sessions"]
        assert await sessions.find_one({"unannounced": {"$exists": True}}) is None
        assert (len(await told(market, ann)), len(await told(market, bob))) == (2, 1)
        await sessions.update_many({}, {"$set": {"unannounced": 1}})
        known = {it["data"]["session"] for who in (ann, bob) for it in await told(market, who)}
        await sessions.update_many({"_id": {"$nin": [*known]}}, {"$unset": {"unannounced": ""}})
        assert await sweeps[0].sweep() == 3
        assert await sweeps[1].sweep() == 0
        assert (len(await told(market, ann)), len(await told(market, bob))) == (2, 1)
