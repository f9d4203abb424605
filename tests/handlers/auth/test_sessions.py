"""Refresh with rotation and reuse detection; logout and revocation on every instance."""

from __future__ import annotations

import asyncio
from typing import Any

from models.session import Session
from server.auth.refresh import RefreshTokens
from tests.handlers.auth.conftest import PASSWORD, Instance, Start
from tests.waiting import until


async def refresh(web: Instance, token: str, key: str | None = None) -> tuple[int, Any]:
    headers = {"Idempotency-Key": key} if key else {}
    return await web.call("POST", "/auth/refresh", json={"refresh_token": token}, headers=headers)


async def test_refresh_rotates(web: Instance, ann: Any) -> None:
    status, second = await refresh(web, ann["refresh_token"])
    assert status == 200
    assert second["refresh_token"] != ann["refresh_token"]
    assert second["user"] == ann["user"]
    status, third = await refresh(web, second["refresh_token"])
    assert status == 200
    assert (await web.call("GET", "/users/me", third["access_token"]))[0] == 200


async def test_reuse_ends_the_whole_session(web: Instance, ann: Any) -> None:
    _, second = await refresh(web, ann["refresh_token"])
    status, answer = await refresh(web, ann["refresh_token"])
    assert (status, answer["code"]) == (401, "UNAUTHENTICATED")
    assert (await refresh(web, second["refresh_token"]))[0] == 401
    assert (await web.call("GET", "/users/me", second["access_token"]))[0] == 401
    other = await web.call("POST", "/auth/login", json={"email": "ann@example.com", "password": PASSWORD})
    assert other[0] == 200


async def test_of_concurrent_refreshes_at_most_one_wins(start: Start) -> None:
    first, second = await start(), await start()
    ann = await first.register("ann@example.com")
    outcomes = await asyncio.gather(*(refresh(web, ann["refresh_token"]) for web in [first, second] * 5))
    assert [status for status, _ in outcomes].count(200) == 1


async def test_a_lost_answer_can_be_asked_for_again_with_the_key(web: Instance, ann: Any) -> None:
    _, first = await refresh(web, ann["refresh_token"], "try-1")
    status, again = await refresh(web, ann["refresh_token"], "try-1")
    assert (status, again["refresh_token"]) == (200, first["refresh_token"])
    status, _ = await refresh(web, again["refresh_token"], "try-2")
    assert status == 200
    assert (await refresh(web, ann["refresh_token"], "try-1"))[0] == 401  # two generations back: reuse


async def test_the_key_helps_for_a_minute_only(web: Instance, ann: Any) -> None:
    await refresh(web, ann["refresh_token"], "try-1")
    await Session.get_pymongo_collection().update_many({}, {"$inc": {"rotated_at": -61_000}})
    assert (await refresh(web, ann["refresh_token"], "try-1"))[0] == 401


async def test_noise_does_not_end_anybodys_session(web: Instance, ann: Any) -> None:
    session = ann["refresh_token"].partition(".")[0]
    forged = RefreshTokens(b"another secret of thirty-two bytes").make(session, 1, "salt")
    for noise in (forged, "x", f"{session}.1.", f"{session}.99999999999.{'A' * 43}", "a" * 4096, "\u0000"):
        assert (await refresh(web, noise))[0] == 401
    assert (await refresh(web, ann["refresh_token"]))[0] == 200
    for wrong in ({}, {"refresh_token": 1}, {"refresh_token": ""}, {"refresh_token": "a" * 5000}):
        assert (await web.call("POST", "/auth/refresh", json=wrong))[0] == 422


async def test_an_expired_refresh_token_is_refused(web: Instance, ann: Any) -> None:
    await Session.get_pymongo_collection().update_many({}, {"$set": {"expires_at": 1}})
    assert (await refresh(web, ann["refresh_token"]))[0] == 401


async def test_an_access_token_is_no_refresh_token_nor_the_reverse(web: Instance, ann: Any) -> None:
    assert (await refresh(web, ann["access_token"]))[0] == 401
    assert (await web.call("GET", "/users/me", ann["refresh_token"]))[0] == 401


async def test_logout_ends_the_session_everywhere(start: Start) -> None:
    here, there = await start(), await start()
    ann = await here.register("ann@example.com")
    session = ann["refresh_token"].partition(".")[0]
    other = (await there.call("POST", "/auth/login", json={"email": "ann@example.com", "password": PASSWORD}))[1]
    assert await here.call("POST", "/auth/logout", ann["access_token"]) == (204, None)
    assert here.closed == [session]
    await until(lambda: there.closed == [session])
    for web in (here, there):
        assert (await web.call("GET", "/users/me", ann["access_token"]))[0] == 401
        assert (await web.call("GET", "/users/me", other["access_token"]))[0] == 200
        assert (await refresh(web, ann["refresh_token"]))[0] == 401


async def test_an_instance_that_starts_later_knows_it_too(start: Start) -> None:
    here = await start()
    ann = await here.register("ann@example.com")
    await here.call("POST", "/auth/logout", ann["access_token"])
    late = await start("redis://127.0.0.1:1")
    assert (await late.call("GET", "/users/me", ann["access_token"]))[0] == 401


async def test_logout_reaches_every_instance_without_redis(start: Start) -> None:
    here, there = await start("redis://127.0.0.1:1"), await start("redis://127.0.0.1:1")
    ann = await here.register("ann@example.com")
    assert (await there.call("GET", "/users/me", ann["access_token"]))[0] == 200
    assert await here.call("POST", "/auth/logout", ann["access_token"]) == (204, None)
    await until(lambda: there.closed)
    assert (await there.call("GET", "/users/me", ann["access_token"]))[0] == 401


async def test_changing_the_password_ends_the_other_sessions(web: Instance, ann: Any) -> None:
    login = {"email": "ann@example.com", "password": PASSWORD}
    other = (await web.call("POST", "/auth/login", json=login))[1]
    change = {"current_password": PASSWORD, "new_password": "an even better one"}
    wrong = {**change, "current_password": "guess"}
    assert (await web.call("POST", "/auth/password", ann["access_token"], json=wrong))[0] == 403
    weak = {**change, "new_password": "ann@example.com"}
    assert (await web.call("POST", "/auth/password", ann["access_token"], json=weak))[0] == 422
    assert (await web.call("POST", "/auth/password", ann["access_token"], json=change))[0] == 204
    assert (await web.call("GET", "/users/me", ann["access_token"]))[0] == 200
    assert (await web.call("GET", "/users/me", other["access_token"]))[0] == 401
    assert (await web.call("POST", "/auth/login", json=login))[0] == 401
    login["password"] = "an even better one"
    assert (await web.call("POST", "/auth/login", json=login))[0] == 200


async def test_people_see_and_end_their_own_sessions_only(web: Instance, ann: Any) -> None:
    bob = await web.register("bob@example.com")
    login = {"email": "ann@example.com", "password": PASSWORD}
    phone = (await web.call("POST", "/auth/login", json=login, headers={"User-Agent": "phone"}))[1]
    _, listed = await web.call("GET", "/auth/sessions", ann["access_token"])
    assert listed["items"][0]["device"] == "phone"
    assert [one["current"] for one in listed["items"]] == [False, True]
    phone_session = listed["items"][0]["id"]
    assert (await web.call("DELETE", f"/auth/sessions/{phone_session}", bob["access_token"]))[0] == 404
    assert (await web.call("DELETE", "/auth/sessions/unknown", ann["access_token"]))[0] == 404
    assert (await web.call("DELETE", f"/auth/sessions/{phone_session}", ann["access_token"]))[0] == 204
    assert (await web.call("GET", "/users/me", phone["access_token"]))[0] == 401
    assert (await web.call("GET", "/users/me", ann["access_token"]))[0] == 200


GUARDED = [
    ("POST", "/auth/logout"),
    ("POST", "/auth/password"),
    ("POST", "/auth/resend-verification"),
    ("GET", "/auth/sessions"),
    ("DELETE", "/auth/sessions/x"),
    ("GET", "/users/me"),
    ("PATCH", "/users/me"),
]


async def test_these_need_a_token(web: Instance) -> None:
    for method, path in GUARDED:
        for token in (None, "x.y.z"):
            status, answer = await web.call(method, path, token, json={})
            assert (status, answer["code"]) == (401, "UNAUTHENTICATED"), path
