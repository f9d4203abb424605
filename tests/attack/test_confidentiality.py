"""What others must not learn, looked for in everything that they can get: routes, streams, sockets, refusals, logs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.attack.test_sockets import ask, wire
from tests.attack.town import PASSWORD, Person, Town
from tests.server.realtime.wire import Wire
from tests.waiting import until
from tests.words import mentions

RESERVE: Final = 50_003
LIMITS: Final = {"ann": 61_013, "bob": 62_017}
SEALED: Final = {"ann": 81_019, "bob": 82_021}
OFFERED: Final = {"ann": 71_023, "bob": 72_029}
LETTER: Final = "My grandfather built the Bucintoro"

_STRAGGLERS_S: Final = 0.3


@dataclass(frozen=True)
class Market:
    """Jobs of one client in all formats, not yet bid on: auction ids by format."""

    jobs: dict[str, str]
    auctions: dict[str, str]


async def _market(town: Town, client: Person, **changes: Any) -> Market:
    kinds: dict[str, dict[str, Any]] = {
        "reverse": {},
        "sealed": {"format": "sealed", "show_count": False},
        "counted": {"format": "sealed", "show_count": True},
        "proposal": {"format": "proposal", "reserve_amount": None},
    }
    posted = {
        name: await town.post(client, auction=town.terms(**{"reserve_amount": RESERVE, **terms, **changes}))
        for name, terms in kinds.items()
    }
    return Market(
        {name: job["id"] for name, job in posted.items()}, {n: job["auction"]["id"] for n, job in posted.items()}
    )


async def _bid_on_all(town: Town, market: Market, bidders: dict[str, Person]) -> list[Any]:
    """Both bid everywhere, the reverse auction by limits; their acks, in the order of bidding."""
    acks = []
    for name, bidder in bidders.items():
        acks.append(await town.bid(bidder, market.auctions["reverse"], LIMITS[name], kind="auto"))
        acks.append(await town.bid(bidder, market.auctions["sealed"], SEALED[name]))
        acks.append(await town.bid(bidder, market.auctions["counted"], SEALED[name]))
        letter = {"cover_letter": f"{LETTER}, says {name}", "delivery_days": 19}
        acks.append(await town.bid(bidder, market.auctions["proposal"], OFFERED[name], **letter))
    return acks


@pytest.fixture
async def market(town: Town, client: Person) -> Market:
    """Auctions until tomorrow."""
    return await _market(town, client)


@pytest.fixture(scope="module")
async def cyd(town: Town) -> Person:
    """A freelancer who bids on nothing."""
    return await town.person("freelancer")


async def everything(town: Town, market: Market, who: Person | None, *, probe: bool = True) -> dict[str, str]:
    """What somebody can fetch: text by where it came from. `probe`: refusals too, which an admin would not get."""
    found: dict[str, str] = {}
    paths = [
        "/jobs?limit=100",
        "/jobs?limit=100&page=1",
        "/jobs?q=gondola&limit=100",
        "/jobs?near=45.44,12.33&limit=100",
    ]
    paths += ["/jobs?sort=ending&limit=100", "/jobs?mine=true", "/jobs?invited=true", "/users/me", "/auth/sessions"]
    for name, auction in market.auctions.items():
        stream = f"/streams/auction:{auction}"
        paths += [
            f"/jobs/{market.jobs[name]}",
            f"/auctions/{auction}",
            f"/auctions/{auction}/log",
            f"/auctions/{auction}/export",
        ]
        paths += [stream, f"{stream}/events", f"{stream}/events?after=1&wait=0.01", f"/streams/sealed:{auction}/events"]
    for path in paths:
        found[path] = (await town.call("GET", path, who)).raw.decode()
    for name, auction in market.auctions.items():
        found[f"SSE of {name}"] = await _event_source(town, auction, who)
        if probe:
            found[f"probes of {name}"] = await _probes(town, auction, who)
    async with wire(town, who) as socket:
        for name, auction in market.auctions.items():
            for fields in ({}, {"after": 0}):
                found[f"socket of {name} {fields}"] = json.dumps(
                    await ask(socket, "subscribe", stream=f"auction:{auction}", **fields)
                )
            bid = {"auction": auction, "amount": 99_999_999, "key": "never accepted"}
            found[f"refused bid on {name}"] = json.dumps(await ask(socket, "bid", **bid))
    return found


async def _event_source(town: Town, auction: str, who: Person | None) -> str:
    """What an event source is sent until it has caught up."""
    stream = f"/streams/auction:{auction}"
    last = f"id: {(await town.call('GET', stream, who)).json.get('seq')}\n"
    headers = {"Accept": "text/event-stream"} | ({"Authorization": f"Bearer {who.token}"} if who else {})
    received = ""
    async with town.http.get(f"{town.urls[0]}/api/v1{stream}/events", headers=headers) as answer:
        async for chunk in answer.content.iter_any():
            received += chunk.decode()
            if last in received:
                break
    return received


async def _probes(town: Town, auction: str, who: Person | None) -> str:
    """Refusals of all that changes nothing, without what differs from one answer to the next anyway."""
    tries: list[tuple[str, Any]] = [
        ("bids", {"amount": 99_999_999}),
        ("bids", {"amount": 90_000, "if_seq": 999}),
        ("bids", {"amount": 90_000, "kind": "auto", "currency": "USD"}),
        ("bids/99/retract", {"reason": "typo"}),
        ("award", {}),
        ("award", {"bidder": "Bidder 1"}),
        ("accept", {}),
        ("decline", {}),
        ("reopen", {"end_at": "2099-01-01T00:00:00Z"}),
        ("counter", {"amount": 0, "bidder": "Bidder 9"}),
        ("pause", {}),
        ("resume", {}),
    ]
    answers = []
    for path, body in tries:
        reply = await town.call("POST", f"/auctions/{auction}/{path}", who, json=body, key=f"probe-{len(answers)}")
        assert reply.status >= 400, (path, reply.raw)
        answers.append({name: value for name, value in reply.json.items() if name != "request_id"})
    return json.dumps(answers)


def without_moving_parts(found: dict[str, str]) -> dict[str, str]:
    """Answers less what changes by itself: ids of requests, counts of views."""
    kept = {}
    for where, text in found.items():
        try:
            value = json.loads(text)
        except ValueError:
            kept[where] = text
            continue
        kept[where] = json.dumps(_still(value), sort_keys=True)
    return kept


def _still(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _still(inner) for name, inner in value.items() if name not in {"request_id", "view_count"}}
    return [_still(inner) for inner in value] if isinstance(value, list) else value


def _secrets(people: dict[str, Person]) -> dict[str, str]:
    """What to look for, by what it is."""
    words = {f"{name}'s id": person.id for name, person in people.items()}
    words |= {f"{name}'s letter": f"says {name}" for name in people}
    for what, amounts in (("limit", LIMITS), ("sealed amount", SEALED), ("offer", OFFERED)):
        words |= {f"{name}'s {what}": str(amounts[name]) for name in people}
    return words


async def test_nobody_learns_what_others_bid(
    town: Town, market: Market, client: Person, rival: Person, ann: Person, bob: Person, cyd: Person, admin: Person
) -> None:
    """While auctions run, whoever did not place a bid finds neither who did nor for how much."""
    bidders = {"ann": ann, "bob": bob}
    await _bid_on_all(town, market, bidders)
    others: dict[str, tuple[Person | None, dict[str, Person]]] = {
        "nobody": (None, bidders),
        "another client": (rival, bidders),
        "a freelancer": (cyd, bidders),
        "ann": (ann, {"bob": bob}),
        "bob": (bob, {"ann": ann}),
    }
    for viewer, (who, hidden) in others.items():
        secrets = {**_secrets(hidden), "reserve": str(RESERVE)}
        del secrets["bob's limit" if "bob" in hidden else "ann's limit"]
        if "ann" in hidden:
            secrets["the leader's limit"] = str(LIMITS["ann"])
        for where, text in (await everything(town, market, who)).items():
            for what, secret in secrets.items():
                assert not mentions(text, secret), f"{viewer} finds {what} in {where}: {text[:2000]}"
            assert "private@" not in text or where == "/users/me", where
    # and they are there to be found, by the one who may; sealed bids by nobody before the close
    exported = ""
    for name, auction in market.auctions.items():
        export = await town.call("GET", f"/auctions/{auction}/export", admin)
        if name in ("sealed", "counted"):
            export.refused("CONFLICT")
        else:
            assert export.status == 200
            exported += export.raw.decode()
    secrets = {**_secrets(bidders), "reserve": str(RESERVE)}
    assert {what for what, secret in secrets.items() if not mentions(exported, secret)} == {
        "ann's sealed amount",
        "bob's sealed amount",
    }


async def test_client_and_admin_learn_of_sealed_bids_at_the_close(
    town: Town, market: Market, client: Person, ann: Person, bob: Person, admin: Person
) -> None:
    bidders = {"ann": ann, "bob": bob}
    await _bid_on_all(town, market, bidders)
    for name in ("sealed", "counted"):
        only = Market({name: market.jobs[name]}, {name: market.auctions[name]})
        secrets = {what: secret for what, secret in _secrets(bidders).items() if "id" in what or "sealed" in what}
        for who in (client, admin):
            for where, text in (await everything(town, only, who, probe=who is client)).items():
                if where.startswith(("/jobs?", "/users/", "/auth/")):
                    continue
                for what, secret in secrets.items():
                    assert not mentions(text, secret), f"{who.email} finds {what} in {where}: {text[:2000]}"


async def test_nothing_moves_when_sealed_bids_are_placed(
    town: Town, client: Person, ann: Person, bob: Person, cyd: Person
) -> None:
    """Everything that anybody else can get is the same before and after: seqs, counts, pseudonyms, refusals."""
    whole = await _market(town, client)
    market = Market({"sealed": whole.jobs["sealed"]}, {"sealed": whole.auctions["sealed"]})
    auction = market.auctions["sealed"]
    viewers = {"nobody": None, "the client": client, "a freelancer": cyd}
    before = {name: without_moving_parts(await everything(town, market, who)) for name, who in viewers.items()}
    acks = [await town.bid(bidder, auction, amount) for amount, bidder in ((90_000, ann), (80_000, bob), (70_000, ann))]
    assert (await town.call("POST", f"/auctions/{auction}/bids/1/retract", bob, json={}, key=town.key())).status == 200
    acks.append(await town.bid(bob, auction, 60_000))
    assert [ack["seq"] for ack in acks] == [1, 1, 2, 2]
    assert {(ack["price"], ack["leading"]) for ack in acks} == {(None, None)}
    for name, who in viewers.items():
        after = without_moving_parts(await everything(town, market, who))
        assert after == before[name], name
    own = (await town.call("GET", f"/auctions/{auction}", bob)).json
    assert (own["seq"], own["bid_count"], own["leader"], own["mine"]["pseudonym"], own["mine"]["rank"]) == (
        1,
        None,
        None,
        None,
        None,
    )
    assert [bid["amount"] for bid in own["mine"]["bids"]] == [60_000, 80_000]


async def test_live_streams_carry_no_secrets(
    town: Town, market: Market, client: Person, ann: Person, bob: Person, cyd: Person
) -> None:
    """What sockets and event sources are sent while others bid."""
    bidders = {"ann": ann, "bob": bob}
    secrets = {**_secrets(bidders), "reserve": str(RESERVE), "a bidder": "private@"}
    del secrets["bob's limit"]  # the price implies it
    async with AsyncExitStack() as stack:
        sockets = {
            name: await stack.enter_async_context(wire(town, who, way, at))
            for name, who, way, at in (
                ("nobody", None, "websocket", 0),
                ("the client", client, "websocket", 1),
                ("a freelancer", cyd, "polling", 1),
            )
        }
        for socket in sockets.values():
            for auction in market.auctions.values():
                await ask(socket, "subscribe", stream=f"auction:{auction}")
        await _bid_on_all(town, market, bidders)
        for name, socket in sockets.items():
            seen = await _heard(socket, market)
            for what, secret in secrets.items():
                assert not mentions(seen, secret), f"{name} hears {what}: {seen}"
            assert market.auctions["reverse"] in seen
            assert f'"auction:{market.auctions["sealed"]}"' not in seen


async def _heard(socket: Wire, market: Market) -> str:
    """Every `events` until both bids on the reverse auction have come."""
    heard: list[Any] = []
    while sum(len(e["events"]) for e in heard if e["stream"].endswith(market.auctions["reverse"])) < 2:
        heard.append(await socket.event())
    await asyncio.sleep(_STRAGGLERS_S)
    await ask(socket, "sync_time", t0=1)
    heard += [payload for _, event, payload in socket.events if event == "events"]
    return json.dumps(heard)


async def test_after_the_close_people_and_limits_stay_hidden(
    town: Town, client: Person, ann: Person, bob: Person, cyd: Person
) -> None:
    """Amounts of sealed bids are revealed then; who placed them, limits, offers and letters are not."""
    market = await _market(town, client, end_at=town.in_seconds(6), reserve_amount=None)
    bidders = {"ann": ann, "bob": bob}
    await _bid_on_all(town, market, bidders)
    for name, auction in market.auctions.items():

        async def over(auction: str = auction) -> bool:
            status = (await town.call("GET", f"/auctions/{auction}")).json["status"]
            return status in ("closed", "awarded")

        await until(over, pause_s=0.1)
        if name in ("sealed", "counted"):

            async def opened(auction: str = auction) -> bool:
                return (await town.call("GET", f"/auctions/{auction}")).json["envelopes"] is not None

            await until(opened, pause_s=0.1)
    secrets = {what: secret for what, secret in _secrets(bidders).items() if "sealed" not in what}
    del secrets["bob's limit"]
    for who in (None, cyd):
        found = await everything(town, market, who)
        for where, text in found.items():
            for what, secret in secrets.items():
                assert not mentions(text, secret), f"{what} in {where}: {text[:2000]}"
        assert str(SEALED["ann"]) in found[f"/auctions/{market.auctions['sealed']}"]


async def test_jobs_out_of_sight_are_in_no_list(
    town: Town, client: Person, rival: Person, ann: Person, bob: Person, admin: Person
) -> None:
    word = "Xanadu"
    draft = await town.post(client, status="draft", title=f"{word} draft")
    private = await town.post(client, visibility="private", title=f"{word} private")
    invited = await town.post(client, visibility="invited", invited=[ann.id], title=f"{word} invited")
    queries = ["", "q=xanadu", "category=boats", "skills=carpentry", "near=45.44,12.33", "sort=ending", "sort=popular"]
    queries += ["sort=budget", "status=draft,open", "min_budget=1", "mine=true", "invited=true", "page=1"]
    seen: dict[str, set[str]] = {}
    for name, who in {"nobody": None, "rival": rival, "ann": ann, "bob": bob, "admin": admin, "client": client}.items():
        seen[name] = set()
        for query in queries:
            text = (await town.call("GET", f"/jobs?{query}&limit=100", who)).raw.decode()
            seen[name] |= {job["id"] for job in (draft, private, invited) if job["id"] in text}
            assert ann.id not in text or name == "client", (name, query)
    own = {draft["id"], private["id"], invited["id"]}
    assert seen == {
        "nobody": set(),
        "rival": set(),
        "ann": {invited["id"]},
        "bob": set(),
        "admin": set(),
        "client": own,
    }
    shown = (await town.call("GET", f"/jobs/{invited['id']}", ann)).json
    assert shown.get("invited") is None


async def test_addresses_are_nobodys_business(town: Town, ann: Person, bob: Person, admin: Person) -> None:
    for who in (None, bob, admin):
        profile = await town.call("GET", f"/users/{ann.id}", who)
        assert profile.status == 200
        assert "@" not in profile.raw.decode()
        assert {"email", "password_hash", "admin", "registration"}.isdisjoint(profile.json)
    # whether an address has an account is told at registration only, and not by how long a login takes to be refused
    refused = [
        await town.call("POST", "/auth/login", json={"email": email, "password": "wrong horse battery"})
        for email in (ann.email, "nobody-at-all@example.com")
    ]
    assert len({json.dumps(_still(reply.json)) for reply in refused}) == 1


@pytest.fixture(autouse=True)
async def discreet_logs(town: Town, unharmed: None) -> AsyncIterator[None]:
    """No log has learnt an address, a password, a token, an amount or a letter."""
    yield
    logs = {name: child.log.read_text() for name, child in town.children.items()}
    amounts = (RESERVE, LIMITS["ann"], SEALED["ann"])
    for name, text in logs.items():
        for secret in ("private@example.com", PASSWORD, "eyJ", LETTER, *map(str, amounts)):
            lines = [line for line in text.splitlines() if secret in line]
            if secret.isdigit():  # a time's microseconds may look like it
                lines = [line for line in lines if mentions(line, secret)]
            assert not lines, (name, secret, lines[0])
