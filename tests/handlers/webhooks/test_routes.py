"""The routes of webhooks: what they answer, to whom, and what they refuse."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from typing import Any

import pytest

from handlers.webhooks.service import OVERLAP_MS
from server.settings import Settings
from tests.handlers.market import Market, Person, opened
from tests.handlers.webhooks.conftest import Desk, Receiver, subscribe

URL = "https://example.com/rialto"
SINCE = {"since": "2020-01-01T00:00:00.000Z"}


def of_one(webhook: str, delivery: str) -> list[tuple[str, str, Any]]:
    """Every route of one webhook, with a good body."""
    where = f"/webhooks/{webhook}"
    return [
        ("GET", where, None),
        ("PATCH", where, {"description": "mine now"}),
        ("POST", f"{where}/rotate", None),
        ("POST", f"{where}/ping", None),
        ("GET", f"{where}/deliveries", None),
        ("GET", f"{where}/deliveries/{delivery}", None),
        ("POST", f"{where}/deliveries/{delivery}/replay", None),
        ("POST", f"{where}/replay", SINCE),
        ("DELETE", where, None),
    ]


def signed_with(secret: str, header: str, raw: bytes) -> bool:
    """Whether one of the signatures of a header is made with this secret."""
    (name, t), *values = [part.split("=") for part in header.split(",")]
    assert name == "t"
    assert {name for name, _ in values} == {"v1"}
    wanted = hmac.new(secret.encode(), f"{t}.".encode() + raw, hashlib.sha256).hexdigest()
    return ["v1", wanted] in values


async def test_nobody_but_its_owner_knows_a_webhook(quiet: Market, desk: Desk, client: Person, ann: Person) -> None:
    hook = await subscribe(quiet, client, URL)
    await quiet.auction(client)
    await desk.hear()
    (delivery,) = await desk.stored()
    others = await subscribe(quiet, ann, URL)
    admin = await quiet.person("both", admin=True)
    before = [await quiet.context.db[name].find().to_list() for name in ("webhooks", "webhook_deliveries")]
    for method, path, body in of_one(hook["id"], delivery["_id"]):
        for who in (ann, admin):
            status, refused = await quiet.call(method, path, who, body)
            assert (status, refused["code"]) == (404, "NOT_FOUND"), path
        status, refused = await quiet.call(method, path, None, body)
        assert (status, refused["code"]) == (401, "UNAUTHENTICATED"), path
    for method, path in (("GET", ""), ("POST", "/replay")):  # another's delivery below one's own webhook
        status, _ = await quiet.call(method, f"/webhooks/{others['id']}/deliveries/{delivery['_id']}{path}", ann)
        assert status == 404
    assert [await quiet.context.db[name].find().to_list() for name in ("webhooks", "webhook_deliveries")] == before
    for who, expected in ((client, [hook["id"]]), (ann, [others["id"]]), (admin, [])):
        _, page = await quiet.call("GET", "/webhooks", who)
        assert [one["id"] for one in page["items"]] == expected
    for method, path, body in (("GET", "/webhooks", None), ("POST", "/webhooks", {"url": URL})):
        assert (await quiet.call(method, path, None, body))[0] == 401
    for method, path, body in of_one(hook["id"], delivery["_id"]):
        assert (await quiet.call(method, path, client, body))[0] in (200, 202, 204), path


async def test_what_there_is_not(quiet: Market, client: Person) -> None:
    hook = await subscribe(quiet, client, URL)
    paths = [
        *of_one("0" * 22, "0" * 22),
        *(one for one in of_one(hook["id"], "0" * 22) if "/deliveries/" in one[1]),
        ("GET", "/webhooks/%00", None),
        ("GET", "/webhooks/" + "x" * 300, None),
        ("GET", "/webhooks/$ne", None),
    ]
    for method, path, body in paths:
        status, refused = await quiet.call(method, path, client, body)
        assert (status, refused["code"]) == (404, "NOT_FOUND"), path


async def test_the_secret_is_shown_once(quiet: Market, client: Person) -> None:
    made = await subscribe(quiet, client, URL, description="for the books")
    assert made["secret"].startswith("whsec_")
    assert len(made["secret"]) >= 49
    assert made["url"] == URL
    assert (made["scope"], made["status"], made["description"]) == ("own", "active", "for the books")
    where = f"/webhooks/{made['id']}"
    await quiet.call("POST", f"{where}/ping", client)
    _, page = await quiet.call("GET", f"{where}/deliveries", client)
    for answer in (
        await quiet.call("GET", where, client),
        await quiet.call("PATCH", where, client, {"description": "x"}),
        await quiet.call("GET", "/webhooks", client),
        await quiet.call("GET", f"{where}/deliveries/{page['items'][0]['id']}", client),
        (200, page),
    ):
        assert answer[0] == 200
        assert "secret" not in {name for name in _names(answer[1]) if name != "former_secret_until"}
        assert made["secret"] not in str(answer[1])


def _names(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {*value, *(name for one in value.values() for name in _names(one))}
    if isinstance(value, list):
        return {name for one in value for name in _names(one)}
    return set()


async def test_a_replaced_secret_signs_along_for_a_day(
    quiet: Market, desk: Desk, receiver: Receiver, client: Person
) -> None:
    hook = await subscribe(quiet, client, receiver.url())
    where = f"/webhooks/{hook['id']}"
    secrets = [hook["secret"]]
    for _ in range(4):
        status, rotated = await quiet.call("POST", f"{where}/rotate", client)
        assert status == 200
        secrets.append(rotated["secret"])
    assert len(set(secrets)) == 5
    assert rotated["former_secret_until"] > rotated["rotated_at"]
    await quiet.auction(client)
    await desk.hear()
    await desk.deliver()
    (one,) = receiver.received
    header = one.headers["Rialto-Signature"]
    assert [signed_with(secret, header, one.raw) for secret in secrets] == [False, True, True, True, True]

    hooks = quiet.context.db["webhooks"]
    await hooks.update_one({"_id": hook["id"]}, {"$inc": {"former.$[].until": -OVERLAP_MS}})
    _, shown = await quiet.call("GET", where, client)
    assert shown["former_secret_until"] is None
    await quiet.auction(client)
    await desk.hear()
    await desk.deliver()
    last = receiver.received[-1]
    header = last.headers["Rialto-Signature"]
    assert [signed_with(secret, header, last.raw) for secret in secrets] == [False] * 4 + [True]


async def test_a_rotation_that_is_run_again_finds_its_secret(quiet: Market, client: Person) -> None:
    """The process died after the change and before its answer was kept: the retry must not replace the secret again."""
    hook = await subscribe(quiet, client, URL)
    where = f"/webhooks/{hook['id']}/rotate"
    _, first = await quiet.call("POST", where, client, key="a")
    assert (await quiet.call("POST", where, client, key="a"))[1] == first
    await quiet.context.db["idempotency"].delete_many({})
    _, again = await quiet.call("POST", where, client, key="a")
    assert again == first
    assert (await quiet.call("POST", where, client, key="b"))[1]["secret"] != first["secret"]


async def test_a_subscription_that_is_run_again_is_one(quiet: Market, client: Person) -> None:
    body = {"url": URL, "events": ["job.created"]}
    _, first = await quiet.call("POST", "/webhooks", client, body, key="a")
    await quiet.context.db["idempotency"].delete_many({})
    status, again = await quiet.call("POST", "/webhooks", client, body, key="a")
    assert (status, again) == (201, first)
    assert await quiet.context.db["webhooks"].count_documents({}) == 1


async def test_many_rotations_at_once_keep_every_secret_apart(quiet: Market, client: Person) -> None:
    hook = await subscribe(quiet, client, URL)
    answers = await asyncio.gather(*(quiet.call("POST", f"/webhooks/{hook['id']}/rotate", client) for _ in range(3)))
    done = [answer["secret"] for status, answer in answers if status == 200]
    assert len(set(done)) == len(done) >= 1
    stored = await quiet.context.db["webhooks"].find_one({"_id": hook["id"]})
    assert stored is not None
    assert {stored["secret"], *(one["secret"] for one in stored["former"])} == {hook["secret"], *done}


async def test_changes(quiet: Market, desk: Desk, receiver: Receiver, client: Person, ann: Person) -> None:
    hook = await subscribe(quiet, client, URL, events=["job.created"])
    where = f"/webhooks/{hook['id']}"
    auction = await quiet.auction(client)
    await quiet.bid(ann, auction, 10_000)
    await desk.hear(f"auction:{auction}")
    assert [(one["type"], one["lane"]) for one in await desk.stored()] == [("job.created", "example.com")]
    change = {"url": receiver.url(), "events": ["job.created", "bid.submitted"], "unknown": 1}
    status, changed = await quiet.call("PATCH", where, client, change)
    assert (status, changed["events"], changed["url"]) == (200, change["events"], change["url"])
    assert [one["lane"] for one in await desk.stored()] == ["127.0.0.1"]
    await desk.deliver()
    assert len(receiver.received) == 1  # what was queued goes to where the webhook is now
    assert (await quiet.call("PATCH", where, client, {}))[1]["events"] == change["events"]

    assert (await quiet.call("PATCH", where, client, {"status": "paused"}))[1]["status"] == "paused"
    await quiet.auction(client)
    await desk.hear()
    await desk.deliver()
    assert [(one["state"], one.get("error")) for one in await desk.stored()][-1] == ("dead", "paused")
    assert (await quiet.call("POST", where + "/ping", client))[1]["code"] == "CONFLICT"
    await quiet.call("PATCH", where, client, {"status": "active"})
    assert (await quiet.call("POST", where + "/replay", client, SINCE))[1] == {"replayed": 1}
    await desk.deliver()
    assert len(receiver.received) == 2


async def test_replaying_one_delivery(quiet: Market, desk: Desk, receiver: Receiver, client: Person) -> None:
    hook = await subscribe(quiet, client, receiver.url())
    await quiet.auction(client)
    await desk.hear()
    (delivery,) = await desk.stored()
    where = f"/webhooks/{hook['id']}/deliveries/{delivery['_id']}"
    _, queued = await quiet.call("POST", f"{where}/replay", client)
    assert (queued["state"], queued["replays"]) == ("queued", 0)  # it was queued anyway
    await desk.deliver()
    _, done = await quiet.call("GET", where, client)
    assert (done["state"], done["attempts"], done["next_at"], len(done["tries"])) == ("delivered", 1, None, 1)
    assert done["body"] == receiver.received[0].body
    assert done["tries"][0]["status"] == 200
    _, again = await quiet.call("POST", f"{where}/replay", client)
    assert (again["state"], again["replays"], again["delivered_at"]) == ("queued", 1, None)
    await desk.deliver()
    assert [one.delivery for one in receiver.received] == [delivery["_id"]] * 2
    _, answer = await quiet.call("POST", f"/webhooks/{hook['id']}/replay", client, SINCE)
    assert answer == {"replayed": 0}  # none is dead


async def test_ping(quiet: Market, desk: Desk, receiver: Receiver, client: Person) -> None:
    hook = await subscribe(quiet, client, receiver.url(), events=["job.created"])
    answers = [await quiet.call("POST", f"/webhooks/{hook['id']}/ping", client) for _ in range(30)]
    assert {status for status, _ in answers} == {202}
    pings = {answer["id"] for _, answer in answers}
    assert len(pings) < 30  # one a second
    assert await desk.deliver() == len(pings)
    one = receiver.received[0]
    assert (one.headers["Rialto-Event"], one.body["data"]) == ("ping", {"webhook": hook["id"]})
    assert signed_with(hook["secret"], one.headers["Rialto-Signature"], one.raw)


async def test_lists_have_pages(quiet: Market, desk: Desk, receiver: Receiver, client: Person) -> None:
    hook = await subscribe(quiet, client, receiver.url())
    await subscribe(quiet, client, URL)
    _, first = await quiet.call("GET", "/webhooks?limit=1", client)
    _, last = await quiet.call("GET", f"/webhooks?limit=1&cursor={first['next_cursor']}", client)
    assert [one["url"] for page in (first, last) for one in page["items"]] == [URL, receiver.url()]
    for _ in range(3):
        await quiet.auction(client)
    await desk.hear()
    await desk.make_due(webhook=hook["id"])
    await desk.deliver()
    where = f"/webhooks/{hook['id']}/deliveries"
    for query, count in (("", 3), ("?state=delivered", 3), ("?state=dead", 0), ("?state=queued", 0), ("?page=2", 0)):
        status, page = await quiet.call("GET", where + query, client)
        assert (status, len(page["items"])) == (200, count), query
    _, page = await quiet.call("GET", where + "?limit=2", client)
    times = [one["created_at"] for one in page["items"]]
    assert times == sorted(times, reverse=True)
    assert page["next_cursor"]
    for query in ("?state=x", "?limit=0", "?limit=101", "?cursor=x", "?page=0"):
        assert (await quiet.call("GET", where + query, client))[0] == 422, query


async def test_a_user_has_so_many_webhooks_at_most(settings: Settings) -> None:
    async with opened(settings.model_copy(update={"webhook_limit": 3}), worker=False) as market:
        client, ann = await market.person("client"), await market.person("freelancer")
        body = {"url": URL, "events": ["job.created"]}
        answers = await asyncio.gather(*(market.call("POST", "/webhooks", client, body) for _ in range(6)))
        assert {answer["code"] for status, answer in answers if status != 201} == {"QUOTA_EXCEEDED"}
        while (await market.call("POST", "/webhooks", client, body))[0] == 201:
            pass
        assert await market.context.db["webhooks"].count_documents({"owner": client.id}) == 3
        assert (await market.call("POST", "/webhooks", ann, body))[0] == 201
        _, page = await market.call("GET", "/webhooks", client)
        assert (await market.call("DELETE", f"/webhooks/{page['items'][0]['id']}", client))[0] == 204
        assert (await market.call("POST", "/webhooks", client, body))[0] == 201


async def test_deleting(quiet: Market, desk: Desk, client: Person) -> None:
    hook = await subscribe(quiet, client, URL)
    await quiet.auction(client)
    await desk.hear()
    assert (await quiet.call("DELETE", f"/webhooks/{hook['id']}", client))[0] == 204
    assert (await quiet.call("DELETE", f"/webhooks/{hook['id']}", client))[0] == 404
    assert await desk.stored() == []


async def test_only_admins_ask_for_everything(quiet: Market, client: Person) -> None:
    body = {"url": URL, "events": ["job.created"], "scope": "all"}
    status, refused = await quiet.call("POST", "/webhooks", client, body)
    assert (status, refused["code"]) == (403, "FORBIDDEN")
    admin = await quiet.person("both", admin=True)
    assert (await quiet.call("POST", "/webhooks", admin, body))[1]["scope"] == "all"
    own = await subscribe(quiet, client, URL)
    _, changed = await quiet.call("PATCH", f"/webhooks/{own['id']}", client, {"scope": "all"})
    assert changed["scope"] == "own"


GOOD = {"url": URL, "events": ["job.created"]}


@pytest.mark.parametrize(
    ("change", "loc"),
    [
        ({"url": None}, ["body", "url"]),
        ({"url": 5}, ["body", "url"]),
        ({"url": ""}, ["body", "url"]),
        ({"url": "https://example.com/" + "a" * 2_000}, ["body", "url"]),
        ({"url": "http://example.com/"}, ["body", "url"]),
        ({"url": "https://127.0.0.1/"}, ["body", "url"]),
        ({"url": "https://[::ffff:127.0.0.1]/"}, ["body", "url"]),
        ({"url": "https://0x7f000001/"}, ["body", "url"]),
        ({"url": "https://localhost.:8443/"}, ["body", "url"]),
        ({"url": "https://169.254.169.254/latest/meta-data/"}, ["body", "url"]),
        ({"url": "https://user:password@example.com/"}, ["body", "url"]),
        ({"url": "https://example.com:25/"}, ["body", "url"]),
        ({"events": None}, ["body", "events"]),
        ({"events": []}, ["body", "events"]),
        ({"events": "job.created"}, ["body", "events"]),
        ({"events": ["job.deleted"]}, ["body", "events", 0]),
        ({"events": ["ping"]}, ["body", "events", 0]),
        ({"events": ["job.created", "x" * 400]}, ["body", "events", 1]),
        ({"events": ["job.created", "job.created"]}, ["body", "events"]),
        ({"events": ["job.created"] * 400}, ["body", "events"]),
        ({"events": [None]}, ["body", "events", 0]),
        ({"description": "x" * 301}, ["body", "description"]),
        ({"description": "\x00"}, ["body", "description"]),
        ({"description": 1}, ["body", "description"]),
        ({"scope": "everything"}, ["body", "scope"]),
        ({"status": "disabled"}, ["body", "status"]),
    ],
    ids=str,
)
async def test_bad_fields_change_nothing(
    public_market: tuple[Market, Person, Any], change: dict[str, Any], loc: list[Any]
) -> None:
    """On an installation with the usual reach: nothing private."""
    market, client, hook = public_market
    calls = [] if "status" in change else [("POST", "/webhooks", {**GOOD, **change})]
    if "scope" not in change:
        calls.append(("PATCH", f"/webhooks/{hook['id']}", change))
    before = await market.context.db["webhooks"].find().to_list()
    for method, path, body in calls:
        status, refused = await market.call(method, path, client, body)
        assert (status, refused["code"]) == (422, "VALIDATION_FAILED"), (method, refused)
        assert loc in [error["loc"] for error in refused["errors"]]
        assert "password@" not in str(refused)
    assert await market.context.db["webhooks"].find().to_list() == before


@pytest.fixture(scope="module")
async def public_market(
    mongodb_url: str, redis_url: str, module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    settings = Settings(
        mongodb_url=mongodb_url,
        mongodb_database=module_database,
        redis_url=redis_url,
        token_secret="0" * 48,
        data_dir=tmp_path_factory.mktemp("data"),
        argon2_memory_kib=64,
        argon2_time=1,
    )
    async with opened(settings, worker=False) as market:
        client = await market.person("client")
        status, hook = await market.call("POST", "/webhooks", client, GOOD)
        assert status == 201
        yield market, client, hook


@pytest.mark.parametrize("body", [{}, {"since": "yesterday"}, {"since": 0}, {"since": "1969-01-01T00:00:00Z"}], ids=str)
async def test_replays_need_a_time(public_market: tuple[Market, Person, Any], body: Any) -> None:
    market, client, hook = public_market
    status, refused = await market.call("POST", f"/webhooks/{hook['id']}/replay", client, body)
    assert (status, refused["code"]) == (422, "VALIDATION_FAILED")
