"""One's own account, public profiles, administrators."""

from __future__ import annotations

from typing import Any

from models.user import User
from server.auth.admins import grant_admin
from tests.handlers.auth.conftest import PASSWORD, Instance


async def test_change_the_profile(web: Instance, ann: Any) -> None:
    changes = {
        "name": "Ann Doe",
        "about": "Line one\nline two",
        "skills": [" Python ", "Go"],
        "hourly_rate": {"amount": 5000, "currency": "EUR"},
        "location": {"lat": 45.4, "lng": 12.3, "address": "Venezia"},
        "active": False,
        "role": "freelancer",
    }
    status, changed = await web.call("PATCH", "/users/me", ann["access_token"], json=changes)
    assert status == 200
    assert changed["skills"] == ["python", "go"]
    assert changed["location"] == {"lat": 45.4, "lng": 12.3, "address": "Venezia", "remote": False}
    assert {name: changed[name] for name in ("name", "about", "hourly_rate", "active", "role")} == {
        name: changes[name] for name in ("name", "about", "hourly_rate", "active", "role")
    }
    user = await User.get(ann["user"]["id"])
    assert user is not None
    assert user.point == {"type": "Point", "coordinates": [12.3, 45.4]}
    cleared = {"hourly_rate": None, "location": None}
    _, after = await web.call("PATCH", "/users/me", ann["access_token"], json=cleared)
    assert (after["hourly_rate"], after["location"], after["name"]) == (None, None, "Ann Doe")
    assert (await web.call("PATCH", "/users/me", ann["access_token"], json={}))[1] == after


BAD_CHANGES: list[tuple[Any, list[Any]]] = [
    ({"name": None}, ["body", "name"]),
    ({"name": ""}, ["body", "name"]),
    ({"role": "admin"}, ["body", "role"]),
    ({"skills": ["x"] * 51}, ["body", "skills"]),
    ({"skills": "python"}, ["body", "skills"]),
    ({"skills": [""]}, ["body", "skills", 0]),
    ({"hourly_rate": {"amount": -1, "currency": "EUR"}}, ["body", "hourly_rate", "amount"]),
    ({"hourly_rate": {"amount": 1.5, "currency": "EUR"}}, ["body", "hourly_rate", "amount"]),
    ({"hourly_rate": {"amount": 1, "currency": "XXQ"}}, ["body", "hourly_rate", "currency"]),
    ({"location": {"lat": 91, "lng": 0}}, ["body", "location", "lat"]),
    ({"location": {"lat": 1}}, ["body", "location"]),
    ({"active": "yes"}, ["body", "active"]),
    ({"about": "x" * 5001}, ["body", "about"]),
]


async def test_bad_changes_change_nothing(web: Instance, ann: Any) -> None:
    for changes, loc in BAD_CHANGES:
        status, answer = await web.call("PATCH", "/users/me", ann["access_token"], json=changes)
        assert (status, [error["loc"] for error in answer["errors"]]) == (422, [loc]), changes
    assert (await web.call("GET", "/users/me", ann["access_token"]))[1] == ann["user"]


async def test_what_is_not_a_persons_to_change(web: Instance, ann: Any) -> None:
    changes = {"admin": True, "rating": 5, "email": "x@example.com", "email_verified": True, "badges": ["gold"]}
    status, answer = await web.call("PATCH", "/users/me", ann["access_token"], json=changes)
    assert (status, answer) == (200, ann["user"])


async def test_public_profiles_never_show_the_address(web: Instance, ann: Any) -> None:
    bob = await web.register("bob@example.com")
    for token in (None, bob["access_token"], ann["access_token"]):
        status, profile = await web.call("GET", f"/users/{ann['user']['id']}", token)
        assert status == 200
        assert (profile["id"], profile["name"], profile["role"]) == (ann["user"]["id"], "ann", "both")
        assert not {"email", "email_verified", "admin", "password_hash"} & set(profile)
    for unknown in ("nobody", "%00", "x" * 500, "$ne"):
        assert (await web.call("GET", f"/users/{unknown}"))[0] == 404


async def test_grant_admin(web: Instance, ann: Any) -> None:
    settings = web.context.settings
    assert await grant_admin(settings.mongodb_url, settings.mongodb_database, "Ann@example.com")
    login = {"email": "ann@example.com", "password": PASSWORD}
    _, again = await web.call("POST", "/auth/login", json=login)
    assert again["user"]["admin"] is True
    assert web.context.tokens.verify(again["access_token"]).admin is True
    assert not await grant_admin(settings.mongodb_url, settings.mongodb_database, "nobody@example.com")
