"""Registration and login."""

from __future__ import annotations

import asyncio
from typing import Any

from models.session import Session
from models.user import User
from server.auth.passwords import Passwords
from tests.handlers.auth.conftest import PASSWORD, Instance

GOOD = {"email": "eve@example.com", "password": PASSWORD, "name": "Eve", "role": "client"}


async def test_register_answers_user_and_tokens(web: Instance) -> None:
    status, answer = await web.call("POST", "/auth/register", json={**GOOD, "email": " Eve@EXAMPLE.com "})
    assert status == 201
    assert set(answer) == {"user", "access_token", "refresh_token", "token_type", "expires_in"}
    assert answer["token_type"] == "Bearer"
    assert answer["expires_in"] == web.context.settings.access_token_s
    user = answer["user"]
    assert (user["email"], user["name"], user["role"], user["email_verified"]) == (
        "eve@example.com",
        "Eve",
        "client",
        False,
    )
    assert "password" not in str(answer)
    status, own = await web.call("GET", "/users/me", answer["access_token"])
    assert (status, own) == (200, user)


BAD_FIELDS: list[tuple[str, Any]] = [
    ("email", "nobody"),
    ("email", "a@b"),
    ("email", "a@" + "b" * 300 + ".com"),
    ("email", None),
    ("email", {"$ne": ""}),
    ("email", "a\u0000@example.com"),
    ("password", "short"),
    ("password", "x" * 257),
    ("password", "aaaaaaaaaaaa"),
    ("password", "eve@example.com"),
    ("password", 1234567890),
    ("name", "  "),
    ("name", "x" * 101),
    ("name", "a\u0000b"),
    ("name", "two\nlines"),
    ("role", "admin"),
    ("role", "contractor"),
    ("role", ["client"]),
]


async def test_bad_registrations_name_the_field(web: Instance) -> None:
    for field, value in BAD_FIELDS:
        status, answer = await web.call("POST", "/auth/register", json={**GOOD, field: value})
        assert (status, answer["code"]) == (422, "VALIDATION_FAILED"), (field, value)
        assert [error["loc"] for error in answer["errors"]] == [["body", field]], (field, value)
    assert await User.find_all().count() == 0


async def test_nobody_registers_as_admin(web: Instance) -> None:
    answer = await web.register("eve@example.com", admin=True, email_verified=True, rating=5)
    assert (answer["user"]["admin"], answer["user"]["email_verified"], answer["user"]["rating"]) == (False, False, None)


async def test_an_address_has_one_account_also_under_concurrency(web: Instance) -> None:
    bodies = [{**GOOD, "email": email} for email in ("eve@example.com", "EVE@example.com", "Eve@Example.Com")]
    answers = await asyncio.gather(*(web.call("POST", "/auth/register", json=body) for body in bodies))
    assert sorted(status for status, _ in answers) == [201, 409, 409]
    assert {answer["code"] for status, answer in answers if status == 409} == {"EMAIL_TAKEN"}
    assert await User.find_all().count() == 1
    assert await Session.find_all().count() == 1


async def test_a_registration_may_be_retried_with_its_key(web: Instance) -> None:
    key = {"Idempotency-Key": "first-try"}
    first = await web.call("POST", "/auth/register", json=GOOD, headers=key)
    again = await web.call("POST", "/auth/register", json=GOOD, headers=key)
    assert (first[0], again[0]) == (201, 201)
    assert first[1]["user"] == again[1]["user"]
    for headers, body in [
        ({"Idempotency-Key": "another"}, GOOD),
        ({}, GOOD),
        (key, {**GOOD, "password": "another password"}),
    ]:
        status, answer = await web.call("POST", "/auth/register", json=body, headers=headers)
        assert (status, answer["code"]) == (409, "EMAIL_TAKEN")


async def test_login(web: Instance, ann: Any) -> None:
    body = {"email": "ANN@example.com", "password": PASSWORD}
    status, answer = await web.call("POST", "/auth/login", json=body)
    assert (status, answer["user"]) == (200, ann["user"])
    assert answer["refresh_token"] != ann["refresh_token"]
    status, _ = await web.call("GET", "/users/me", answer["access_token"])
    assert status == 200


async def test_failed_logins_look_the_same(web: Instance, ann: Any) -> None:
    wrong = [
        ("ann@example.com", "wrong password"),
        ("bob@example.com", PASSWORD),
        ("not an address", PASSWORD),
        ("", ""),
    ]
    for email, password in wrong:
        status, answer = await web.call("POST", "/auth/login", json={"email": email, "password": password})
        assert (status, answer["code"]) == (401, "UNAUTHENTICATED")
        assert answer["detail"] == "The e-mail address or the password is wrong"


async def test_a_hash_of_other_parameters_is_renewed_at_login(web: Instance, ann: Any) -> None:
    old = await Passwords(memory_kib=128, passes=2).hash(PASSWORD)
    users = User.get_pymongo_collection()
    await users.update_one({"_id": ann["user"]["id"]}, {"$set": {"password_hash": old}})
    status, _ = await web.call("POST", "/auth/login", json={"email": "ann@example.com", "password": PASSWORD})
    assert status == 200
    user = await User.get(ann["user"]["id"])
    assert user is not None
    assert "m=64," in user.password_hash
