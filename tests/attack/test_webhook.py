"""Webhooks that shall lead where none may, and what they must not tell."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
from aiohttp import web

from tests.attack.town import Person, Town
from tests.handlers.webhooks.conftest import Receiver
from tests.handlers.webhooks.test_reach import BAD_URLS, PRIVATE_URLS
from tests.waiting import until

DEAF: Final = "http://127.0.0.1:65535/"
EVENTS: Final = ("job.created", "bid.submitted", "auction.closed", "award.accepted")
_BACKGROUND_S: Final = 2.0
"""Longer than the worker takes to tell of something."""


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Somebody who listens on this machine."""
    listening = Receiver()
    await listening.start()
    yield listening
    await listening.stop()


@pytest.fixture
async def another() -> AsyncIterator[Receiver]:
    """Somebody else who does."""
    listening = Receiver()
    await listening.start()
    yield listening
    await listening.stop()


async def hook(town: Town, who: Person, url: str, *events: str, **fields: Any) -> str:
    """The id of a new webhook."""
    body = {"url": url, "events": list(events or EVENTS), **fields}
    reply = await town.call("POST", "/webhooks", who, json=body)
    assert reply.status == 201, reply.raw
    return str(reply.json["id"])


async def tried(town: Town, who: Person, webhook: str, delivery: str) -> dict[str, Any]:
    """A delivery after its first try."""

    async def shown() -> Any:
        found = (await town.call("GET", f"/webhooks/{webhook}/deliveries/{delivery}", who)).json
        return found if found["tries"] else None

    found: dict[str, Any] = await until(shown)
    return found


async def test_urls_that_lead_nowhere_good(strict: Town) -> None:
    """With the default settings: to this machine, its network, by whatever spelling, and what is no URL."""
    owner = await strict.person("client")
    webhook = await hook(strict, owner, "https://example.com/hook", "job.created")
    ports = [url.partition("//")[2] for url in strict.urls]
    urls = [*PRIVATE_URLS, *BAD_URLS, *[f"https://{port}/api/v1/jobs" for port in ports], *strict.urls]
    odd: list[Any] = [*[url for url in urls if "\ud800" not in url], 7, None, {}, {"$ne": ""}, ["https://example.com/"]]
    async with strict.unchanged():
        for url in odd:
            body = {"url": url, "events": ["job.created"]}
            for method, path in (("POST", "/webhooks"), ("PATCH", f"/webhooks/{webhook}")):
                reply = await strict.call(method, path, owner, json=body)
                assert reply.refused("VALIDATION_FAILED")["errors"][0]["loc"] == ["body", "url"], url
    assert await strict.db["webhooks"].count_documents({"owner": owner.id}) == 1


async def test_a_url_that_was_stored_before_it_was_forbidden(strict: Town, receiver: Receiver) -> None:
    """Nothing is sent there: what may be reached is judged at each try."""
    owner = await strict.person("client")
    webhook = await hook(strict, owner, "https://example.com/hook", "job.created")
    for url in (receiver.url(), receiver.url().replace("http:", "https:"), receiver.url(host="localhost")):
        await strict.db["webhooks"].update_one({"_id": webhook}, {"$set": {"url": url}})
        ping = await strict.call("POST", f"/webhooks/{webhook}/ping", owner)
        while ping.status == 429:
            await asyncio.sleep(0.2)
            ping = await strict.call("POST", f"/webhooks/{webhook}/ping", owner)
        shown = await tried(strict, owner, webhook, ping.json["id"])
        assert (shown["error"], shown["tries"][0]["status"]) == ("url_refused", None)
        await asyncio.sleep(1)  # one ping a second
    assert receiver.received == []


async def test_redirects_lead_nowhere(town: Town, receiver: Receiver, another: Receiver) -> None:
    """Not even where a URL may: neither followed nor shown to whoever made it lead there."""
    owner = await town.person("client")
    secret = another.url("/metadata/secret")
    webhook = await hook(town, owner, receiver.url())
    for status in (301, 303, 307):
        receiver.status(status, Location=secret, Refresh=f"0; url={secret}")
        ping = await town.call("POST", f"/webhooks/{webhook}/ping", owner)
        shown = await tried(town, owner, webhook, ping.json["id"])
        assert (shown["error"], shown["tries"][0]["status"]) == ("redirect", status)
        assert "metadata" not in json.dumps(shown)
        await asyncio.sleep(1)
    assert len(receiver.received) >= 3  # they are tried again
    assert another.received == []


async def test_what_a_receiver_answers_is_nobodys_to_read(town: Town, receiver: Receiver) -> None:
    """A delivery tells whether it arrived, not what was answered: a webhook is no way to read from inside."""

    async def behave(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=500, text="inner secret", headers={"X-Inner": "inner secret"})

    receiver.behave = behave
    owner = await town.person("client")
    webhook = await hook(town, owner, receiver.url())
    ping = await town.call("POST", f"/webhooks/{webhook}/ping", owner)
    shown = await tried(town, owner, webhook, ping.json["id"])
    assert shown["error"] == "status"
    for path in ("", "/deliveries", f"/deliveries/{shown['id']}"):
        assert "inner secret" not in (await town.call("GET", f"/webhooks/{webhook}{path}", owner)).raw.decode()
    sent = receiver.received[0].headers
    assert {"Authorization", "Cookie"}.isdisjoint(sent)
    assert sent["Rialto-Event"] == "ping"


async def test_webhooks_and_deliveries_of_others(town: Town, client: Person, rival: Person, admin: Person) -> None:
    mine, theirs = await hook(town, client, DEAF), await hook(town, rival, DEAF)
    delivery = (await town.call("POST", f"/webhooks/{theirs}/ping", rival)).json["id"]
    await tried(town, rival, theirs, delivery)
    calls: list[tuple[str, str, Any]] = [
        ("GET", "", None), ("PATCH", "", {"status": "paused"}), ("DELETE", "", None), ("POST", "/rotate", None),
        ("POST", "/ping", None), ("GET", "/deliveries", None), ("GET", f"/deliveries/{delivery}", None),
        ("POST", f"/deliveries/{delivery}/replay", None), ("POST", "/replay", {"since": "2020-01-01T00:00:00Z"}),
    ]  # fmt: skip
    async with town.unchanged():
        for who in (client, admin):
            for method, path, body in calls:
                (await town.call(method, f"/webhooks/{theirs}{path}", who, json=body)).refused("NOT_FOUND")
        for method, path in (("GET", ""), ("POST", "/replay")):
            (await town.call(method, f"/webhooks/{mine}/deliveries/{delivery}{path}", client)).refused("NOT_FOUND")
        body = {"url": DEAF, "events": ["job.created"], "scope": "all"}
        (await town.call("POST", "/webhooks", client, json=body)).refused("FORBIDDEN")
        bodies: list[Any] = [
            {"url": DEAF}, {"url": DEAF, "events": []}, {"url": DEAF, "events": ["user.created"]}, {"url": DEAF, "events": ["*"]},
            {"url": DEAF, "events": ["job.created", "job.created"]}, {"url": DEAF, "events": {"$ne": ""}},
            {"url": DEAF, "events": ["job.created"], "scope": "admin"},
            {"url": DEAF, "events": ["job.created"], "description": "x" * 301},
            {"url": DEAF, "events": ["job.created"], "description": "\x00"},
        ]  # fmt: skip
        for body in bodies:
            (await town.call("POST", "/webhooks", client, json=body)).refused("VALIDATION_FAILED")
    forged = {"owner": rival.id, "scope": "all", "secret": "x", "status": "active", "id": theirs, "failing_since": 1}
    changed = await town.call("PATCH", f"/webhooks/{mine}", client, json=forged)
    assert (changed.json["id"], changed.json["scope"]) == (mine, "own")
    stored = await town.db["webhooks"].find_one({"_id": mine})
    assert stored is not None
    assert (stored["owner"], stored["secret"] == "x") == (client.id, False)
    for path in ("", f"/{mine}", f"/{mine}/deliveries"):
        assert stored["secret"] not in (await town.call("GET", f"/webhooks{path}", client)).raw.decode()


async def test_nothing_is_told_early_or_to_others(
    town: Town, receiver: Receiver, another: Receiver, rival: Person, ann: Person
) -> None:
    """Of sealed bids nothing before the close, to nobody; of others' jobs nothing at all; never a limit or a reserve."""
    owner = await town.person("client")
    operator = await town.person("both", admin=True)
    for who, url in ((owner, receiver.url("/own")), (rival, another.url("/rival")), (ann, another.url("/ann"))):
        await hook(town, who, url)
    everything = await hook(town, operator, receiver.url("/all"), scope="all")
    sealed = await town.post(owner, auction=town.terms(format="sealed", end_at=town.in_seconds(5)))
    limit = await town.post(owner, auction=town.terms(reserve_amount=50_007))
    draft = await town.post(owner, status="draft")
    await town.bid(ann, sealed["auction"]["id"], 61_234)
    await town.bid(ann, limit["auction"]["id"], 61_235, kind="auto")
    auctions = {sealed["auction"]["id"], limit["auction"]["id"]}

    def told(type_: str) -> list[dict[str, Any]]:
        """Of these two auctions: whoever is told of everything hears of others, too."""
        return [data for data in receiver.data(type_) if data["auction"] in auctions]

    await until(lambda: len(told("bid.submitted")) == 2)  # of the open auction, to both
    await asyncio.sleep(_BACKGROUND_S)
    assert {data["auction"] for data in told("bid.submitted")} == {limit["auction"]["id"]}
    texts = [one.raw.decode() for one in receiver.received]
    for secret in ("61234", "61235", "70007", "50007", draft["id"]):
        assert not [text for text in texts if secret in text], secret
    await until(lambda: len(told("auction.closed")) == 2)
    opened = [data for data in told("bid.submitted") if data["auction"] == sealed["auction"]["id"]]
    assert [data["bid_amount"] for data in opened] == [61_234] * 2
    assert another.received == []
    # whoever is no admin any more is told no more of others
    await town.db["users"].update_one({"_id": operator.id}, {"$set": {"admin": False}})
    before = len(receiver.received)
    job = await town.post(owner)
    await until(lambda: any(job["id"] in one.raw.decode() for one in receiver.received[before:]))
    await asyncio.sleep(_BACKGROUND_S)
    assert {one.path for one in receiver.received[before:]} == {"/own"}
    await town.call("DELETE", f"/webhooks/{everything}", operator)


@pytest.fixture(autouse=True)
async def discreet_logs(town: Town, strict: Town, unharmed: None) -> AsyncIterator[None]:
    """After each attack both towns are unharmed, and no log has learnt a secret of a webhook."""
    yield
    await strict.unharmed()
    for each in (town, strict):
        for name, child in each.children.items():
            assert "whsec_" not in child.log.read_text(), name
