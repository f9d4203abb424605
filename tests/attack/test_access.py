"""Tokens that are none, other people's things, queries of noise, and keys that lie."""

from __future__ import annotations

import asyncio
import base64
from typing import Any, Final

import orjson
import pytest

from server.clock import new_id
from tests.attack.town import Person, Reply, Town

# tokens


def _unsigned(town: Town, person: Person, algorithm: str) -> str:
    """A person's own token, its signature taken off and another algorithm named."""
    _, claims, signature = person.token.split(".")
    header = base64.urlsafe_b64encode(orjson.dumps({"alg": algorithm, "typ": "JWT"})).decode().rstrip("=")
    return f"{header}.{claims}.{'' if algorithm.lower() == 'none' else signature}"


def _forged(town: Town, person: Person) -> dict[str, str]:
    head, _, signature = person.token.split(".")
    return {
        "expired": town.token(sub=person.id, exp=1_700_000_000),
        "another key": town.token("another key of thirty-two bytes or more", sub=person.id),
        "another hash": town.token(algorithm="HS512", sub=person.id),
        "no signature": _unsigned(town, person, "none"),
        "no signature, shouted": _unsigned(town, person, "NONE"),
        "public key for a secret": _unsigned(town, person, "RS256"),
        "cut": person.token[:-3],
        "other claims": f"{head}.{base64.urlsafe_b64encode(b'{}').decode().rstrip('=')}.{signature}",
        "more parts": person.token + ".x",
        "no claims": town.token(sub=None, sid=None, jti=None, role=None, adm=None, iat=None, exp=None),
        "no session": town.token(sub=person.id, sid=None),
        "no expiry": town.token(sub=person.id, exp=None),
        "expiry as text": town.token(sub=person.id, exp="2099-01-01"),
        "expiry beyond numbers": town.token(sub=person.id, exp=1e300),
        "admin as text": town.token(sub=person.id, adm="true"),
        "unknown role": town.token(sub=person.id, role="king"),
        "number for a user": town.token(sub=7),
        "operator for a user": town.token(sub={"$ne": ""}),
        "operator for a session": town.token(sub=person.id, sid={"$ne": ""}),
        "refresh token": person.refresh_token,
        "garbage": "garbage",
        "nothing": "",
        "dots": "..",
        "endless": "a" * 7_000,
        "NUL-like": "%00.%00.%00",
        "emoji": "😀.😀.😀",
        "deep JSON": base64.urlsafe_b64encode(b"[" * 3_000).decode() + ".e30.",
    }


async def test_tokens_that_are_none(town: Town, ann: Person) -> None:
    """Also where a token is optional: a bad one is refused, not overlooked."""
    async with town.unchanged():
        for name, token in _forged(town, ann).items():
            for method, path in (
                ("GET", "/users/me"),
                ("GET", "/jobs"),
                ("GET", "/streams/auction:x"),
                ("POST", "/jobs"),
            ):
                reply = await town.call(method, path, token, json={} if method == "POST" else None)
                assert reply.refused("UNAUTHENTICATED"), name
                assert reply.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("header", ["Basic YTpi", "Bearer", "bearer ", "Token x", "x", "Bearer a b", "Bearer Bearer x"])
async def test_other_authorizations(town: Town, header: str) -> None:
    (await town.call("GET", "/users/me", headers={"Authorization": header})).refused("UNAUTHENTICATED")


async def test_tokens_end_with_their_login_on_every_instance(town: Town, ann: Person) -> None:
    mine = await town.login(ann.email)
    assert (await town.call("POST", "/auth/logout", mine, at=0)).status == 204
    for at in (0, 1):
        (await town.call("GET", "/users/me", mine, at=at)).refused("UNAUTHENTICATED")
        body = {"refresh_token": mine.refresh_token}
        (await town.call("POST", "/auth/refresh", json=body, at=at)).refused("UNAUTHENTICATED")


# other people's things


@pytest.fixture(scope="module")
async def things(town: Town, client: Person, ann: Person) -> dict[str, Any]:
    """A client's jobs, a freelancer's bid."""
    job = await town.post(client)
    placed = await town.bid(ann, job["auction"]["id"], 90_000)
    invited = await town.post(client, visibility="invited", invited=[ann.id])
    return {
        "job": job["id"],
        "auction": job["auction"]["id"],
        "bid": placed["seq"],
        "draft": (await town.post(client, status="draft"))["id"],
        "invited": invited["id"],
        "invited auction": invited["auction"]["id"],
    }


async def test_other_peoples_jobs(
    town: Town, things: dict[str, Any], rival: Person, bob: Person, admin: Person
) -> None:
    """What is public may be seen and not touched; of the rest there is no sign. An admin may cancel, that's all."""
    async with town.unchanged():
        for who in (rival, bob, admin):
            for method, path in _changes("job", things):
                if not (who is admin and path.endswith("/cancel")):
                    (await town.call(method, path, who, json={}, key=town.key())).refused("FORBIDDEN")
        for who in (rival, bob):
            for name in ("draft", "invited"):
                for method, path in (*_changes(name, things), ("GET", f"/jobs/{things[name]}")):
                    body = None if method == "GET" else {}
                    (await town.call(method, path, who, json=body, key=town.key())).refused("NOT_FOUND")
        for name in ("draft", "invited"):
            (await town.call("GET", f"/jobs/{things[name]}")).refused("NOT_FOUND")
            for method, path in _changes(name, things):
                (await town.call(method, path, json={})).refused("UNAUTHENTICATED")


def _changes(name: str, things: dict[str, Any]) -> list[tuple[str, str]]:
    path = f"/jobs/{things[name]}"
    return [
        ("PATCH", path),
        ("DELETE", path),
        *[("POST", f"{path}/{verb}") for verb in ("publish", "cancel", "complete")],
    ]


async def test_other_peoples_auctions(
    town: Town, things: dict[str, Any], client: Person, rival: Person, ann: Person, bob: Person
) -> None:
    public, hidden = (f"/auctions/{things[name]}" for name in ("auction", "invited auction"))
    retract = {"reason": "typo"}
    reopen = {"end_at": town.in_seconds(600)}
    cases: list[tuple[str, str, Person | None, Any, str]] = [
        ("POST", f"{public}/bids", client, {"amount": 80_000}, "SELF_BID"),
        ("POST", f"{public}/bids", rival, {"amount": 80_000}, "FORBIDDEN"),
        ("POST", f"{public}/bids", None, {"amount": 80_000}, "UNAUTHENTICATED"),
        ("POST", f"{public}/bids/{things['bid']}/retract", bob, retract, "RETRACT_NOT_ALLOWED"),
        ("POST", f"{public}/bids/{things['bid']}/retract", client, retract, "RETRACT_NOT_ALLOWED"),
        ("POST", f"{public}/award", rival, {}, "FORBIDDEN"),
        ("POST", f"{public}/award", ann, {}, "FORBIDDEN"),
        ("POST", f"{public}/award", client, {}, "AWARD_CONFLICT"),
        ("POST", f"{public}/accept", bob, {}, "AWARD_CONFLICT"),
        ("POST", f"{public}/decline", bob, {}, "AWARD_CONFLICT"),
        ("POST", f"{public}/reopen", rival, reopen, "FORBIDDEN"),
        ("POST", f"{public}/reopen", client, reopen, "AWARD_CONFLICT"),
        ("POST", f"{public}/reconfirm", bob, {}, "FORBIDDEN"),
        ("POST", f"{public}/counter", rival, {"amount": 5}, "FORBIDDEN"),
        ("POST", f"{public}/pause", client, {}, "FORBIDDEN"),
        ("POST", f"{public}/resume", client, {}, "FORBIDDEN"),
        ("GET", f"{public}/export", client, None, "FORBIDDEN"),
        ("GET", f"{public}/export", ann, None, "FORBIDDEN"),
        ("GET", f"{public}/export", None, None, "UNAUTHENTICATED"),
        ("GET", hidden, bob, None, "AUCTION_NOT_FOUND"),
        ("GET", hidden, None, None, "AUCTION_NOT_FOUND"),
        ("GET", f"{hidden}/log", rival, None, "AUCTION_NOT_FOUND"),
        ("POST", f"{hidden}/bids", bob, {"amount": 80_000}, "NOT_INVITED"),
    ]
    async with town.unchanged():
        for method, path, who, body, code in cases:
            reply = await town.call(method, path, who, json=body, key=None if method == "GET" else town.key())
            reply.refused(code)


async def test_an_auction_out_of_sight_looks_like_none(
    town: Town, things: dict[str, Any], rival: Person, bob: Person
) -> None:
    """Whatever is tried on it, the answer is the one for an id that nobody gave out; but bidding, where invitations count."""
    hidden, unknown = (f"/auctions/{name}" for name in (things["invited auction"], new_id()))
    bodies: dict[str, Any] = {"reopen": {"end_at": town.in_seconds(600)}, "counter": {"amount": 5}}
    async with town.unchanged():
        for who in (rival, bob):
            for name in ("award", "accept", "decline", "reopen", "reconfirm", "counter", "bids/2/retract"):
                body = bodies.get(name, {"reason": "typo"} if name in ("bids/2/retract", "decline") else {})
                for base in (unknown, hidden):
                    reply = await town.call("POST", f"{base}/{name}", who, json=body, key=town.key())
                    reply.refused("AUCTION_NOT_FOUND")


async def test_other_peoples_logins(town: Town, ann: Person, bob: Person, admin: Person) -> None:
    own = [item["id"] for item in (await town.call("GET", "/auth/sessions", ann)).json["items"]]
    async with town.unchanged():
        for who in (bob, admin):
            for session in own:
                (await town.call("DELETE", f"/auth/sessions/{session}", who)).refused("NOT_FOUND")
        stolen = {"current_password": "wrong horse battery", "new_password": "my horse battery"}
        (await town.call("POST", "/auth/password", ann, json=stolen)).refused("FORBIDDEN")


ODD_IDS: Final = (
    "x", new_id(), "%24gt", "%7B%22%24gt%22%3A%22%22%7D", "[$ne]", "..", "%2e%2e%2f", "%00", "a%00b", "%ff", "%ED%A0%80",
    "%zz", "%", "%0a", "null", "undefined", "-1", "0", "a" * 256, "a" * 257, "a" * 4_000, "%F0%9F%98%80", "a:b", "a b",
    "sealed:x", "*", "%252e", "true", "1e400", "..;", "%c0%ae", "%E2%80%AE",
)  # fmt: skip


@pytest.mark.parametrize("odd", ODD_IDS, ids=range(len(ODD_IDS)))
async def test_ids_that_nobody_gave_out(town: Town, odd: str, client: Person, admin: Person) -> None:
    odd = odd.replace(" ", "%20")
    paths = ["/jobs/%s", "/users/%s", "/auctions/%s", "/auctions/%s/log", "/auctions/%s/export", "/streams/%s"]
    paths += ["/streams/auction:%s", "/streams/room:%s", "/streams/sealed:%s", "/streams/%s/events"]
    paths += [f"/rooms/%s{rest}" for rest in ("", "/messages", "/search?q=x", "/presence", "/messages/1/versions")]
    paths += ["/webhooks/%s", "/webhooks/%s/deliveries", "/webhooks/%s/deliveries/x", "/moderation/reports/%s"]
    posts: list[tuple[str, Any]] = [
        ("/jobs/%s/publish", {}),
        ("/jobs/%s/cancel", {}),
        ("/auctions/%s/award", {}),
        ("/auctions/%s/bids/1/retract", {}),
        ("/auctions/%s/pause", {}),
        ("/rooms/%s/messages", {"text": "x"}),
        ("/rooms/%s/messages/1/reactions", {"emoji": "👍"}),
        ("/rooms/%s/read", {"seq": 1}),
        ("/rooms/%s/delivered", {"seq": 1}),
        ("/rooms/%s/reports", {"messages": [1], "reason": "spam"}),
        ("/webhooks/%s/rotate", {}),
        ("/webhooks/%s/ping", {}),
        ("/webhooks/%s/replay", {"since": "2020-01-01T00:00:00Z"}),
        ("/moderation/reports/%s/resolve", {"action": "ban"}),
    ]
    changes: list[tuple[str, str, Any]] = [
        ("PATCH", "/jobs/%s", {"title": "x"}),
        ("DELETE", "/jobs/%s", None),
        ("DELETE", "/auth/sessions/%s", None),
        ("POST", "/auctions/%s/bids", {"amount": 1}),
        ("PATCH", "/rooms/%s/messages/1", {"text": "x"}),
        ("DELETE", "/rooms/%s/messages/1", None),
        ("DELETE", "/rooms/%s/messages/1/reactions/%%F0%%9F%%91%%8D", None),
        ("PUT", "/rooms/%s/mute", {"muted": True}),
        ("PATCH", "/webhooks/%s", {"status": "paused"}),
        ("DELETE", "/webhooks/%s", None),
    ]
    async with town.unchanged():
        for path in paths:
            _unknown(await town.call("GET", path % odd, admin))
        for path, body in posts:
            _unknown(await town.call("POST", path % odd, admin, json=body, key=town.key()))
        for method, path, body in changes:
            _unknown(await town.call(method, path % odd, client, json=body, key=town.key()))
        for rest in ("", "/events"):  # whose notifications there are is nobody's business
            _unknown(await town.call("GET", f"/streams/user:{odd}{rest}", admin), "FORBIDDEN")
        # who is not blocked or banned stays so
        gone = await town.call("DELETE", f"/blocks/{odd}", client)
        assert gone.status == 204 or _unknown(gone)
        lifted = await town.call("DELETE", f"/moderation/bans/{odd}", admin)
        assert lifted.status == 204 or _unknown(lifted)


def _unknown(reply: Reply, besides: str = "") -> dict[str, Any]:
    """404, or 405 where dots in the path lead elsewhere; or `besides`."""
    code = reply.json["code"]
    assert code in {"NOT_FOUND", "AUCTION_NOT_FOUND", "METHOD_NOT_ALLOWED", besides}, (reply.status, reply.raw)
    return reply.refused(code)


# queries

QUERIES: Final = (
    "page=0", "page=-1", "page=10001", "page=abc", "page=1.5", "page=%00", "page=1&page=2", "page=9" + "9" * 400,
    "limit=0", "limit=101", "limit=-1", "limit=abc", "limit=", "limit=1e2", "limit=%F0%9F%98%80", "limit=1&limit=2",
    "near=garbage", "near=", "near=1", "near=1,2,3", "near=91,0", "near=0,181", "near=nan,nan", "near=inf,0", "near=1e400,0",
    "near=1,2&near=3,4", "near=%7B%22%24gt%22%3A1%7D", "near=45,12&radius_km=0", "near=45,12&radius_km=-1",
    "near=45,12&radius_km=nan", "near=45,12&radius_km=inf", "near=45,12&radius_km=20001", "near=45,12&radius_km=x",
    "sort=random", "sort=", "sort=%24natural", "sort=newest&sort=oldest", "sort=relevance", "sort=distance",
    "near=45,12&q=a&sort=distance", "status=lost", "status=open,lost", "status=%7B%22%24ne%22%3A%22%22%7D",
    "min_budget=-1", "min_budget=1.5", "min_budget=abc", "max_budget=1e9", "max_budget=" + "9" * 30, "currency=XXQ",
    "currency=%24ne", "q=", "q=%20", "q=" + "a" * 201, "q=%00", "skills=" + ",".join("abcdefghijkl"), "category=" + "a" * 61,
    "mine=perhaps", "cursor=x", "cursor=", "cursor=%00", "cursor=" + "a" * 1_001, "cursor=e30", "cursor=W10", "cursor=bnVsbA",
    "cursor=x&page=1", "skills=%0a", "invited=2",
)  # fmt: skip


@pytest.mark.parametrize("query", QUERIES, ids=range(len(QUERIES)))
async def test_queries_that_make_no_sense(town: Town, query: str) -> None:
    errors = (await town.call("GET", f"/jobs?{query}")).refused("VALIDATION_FAILED")["errors"]
    assert errors[0]["loc"][0] == "query"
    assert any(str(error["loc"][1]) in query for error in errors), errors


def _cursor(*values: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


CURSORS: Final = (
    ("newest",), ("newest", 1), ("newest", 1, "x", "y"), ("newest", "x", "x"), ("newest", 1.5, "x"), ("newest", True, "x"),
    ("newest", None, "x"), ("newest", 1, None), ("newest", {"$gt": 0}, "x"), ("newest", 1, {"$ne": ""}), ("oldest", 1, "x"),
    ("newest", 2**63, "x"), ("newest", 2**64 - 1, "x"), ([["newest"]],), ({"$gt": ""},), (1, 1, "x"), ("$where", 1, "x"),
)  # fmt: skip


@pytest.mark.parametrize("values", CURSORS, ids=range(len(CURSORS)))
async def test_forged_cursors(town: Town, client: Person, values: tuple[Any, ...]) -> None:
    reply = await town.call("GET", f"/jobs?cursor={_cursor(*values)}")
    assert reply.refused("VALIDATION_FAILED")["errors"][0]["loc"] == ["query", "cursor"]


async def test_operators_in_queries_find_nothing_more(town: Town, client: Person) -> None:
    """They are unknown names or values that nothing has; what is out of sight stays there."""
    secret = "zzyzx"
    await town.post(client, status="draft", title=secret, description=secret, category=secret)
    await town.post(client, visibility="invited", title=secret, description=secret, category=secret)
    queries = [f"{name}{rest}" for name in ("category", "skills") for rest in ("=%7B%22%24gt%22%3A%22%22%7D", "=%24gt")]
    queries += [f"category={secret}", f"q={secret}", f"category={secret}&status=draft", "q=-x", "q=%22%22"]
    queries += [
        f"category={secret}&scope=draft",
        f"category={secret}&scope[$ne]=x",
        f"category={secret}&owner={client.id}",
    ]
    queries += [f"category={secret}&status=draft,open&visibility=invited", f"q={secret}&near=45.44,12.33"]
    for query in queries:
        reply = await town.call("GET", f"/jobs?{query}&limit=100")
        assert reply.status == 200, (query, reply.raw)
        assert secret not in reply.raw.decode(), query
    for query in ("mine=true", "invited=true"):
        (await town.call("GET", f"/jobs?{query}")).refused("UNAUTHENTICATED")


async def test_words_are_looked_for_near_a_place(town: Town, client: Person) -> None:
    """Both at once: words do not switch the place off."""
    for lat in (10.0, 60.0):
        await town.post(client, title="Quokka census", location={"lat": lat, "lng": 20.0}, auction=None)
    for order in ("", "&sort=newest", "&sort=relevance"):
        for form in ("", "&page=1"):
            found = (await town.call("GET", f"/jobs?q=quokka&near=10,20&radius_km=50{order}{form}")).json
            assert [item["location"]["lat"] for item in found["items"]] == [10.0]


@pytest.mark.parametrize(
    "query",
    ["after=-1", "after=x", "after=1.5", "after=99999999999999999999", "after=%00", "limit=0", "limit=1001", "limit=x",
     "wait=-1", "wait=31", "wait=nan", "wait=inf", "wait=x", "after=1&after=2", "after=1000000"],
)  # fmt: skip
async def test_streams_are_not_read_by_noise(town: Town, things: dict[str, Any], query: str) -> None:
    path = f"/streams/auction:{things['auction']}/events?{query}"
    for accept in ("application/json", "text/event-stream"):
        (await town.call("GET", path, headers={"Accept": accept})).refused("VALIDATION_FAILED")


@pytest.mark.parametrize("last", ["x", "-1", "1.5", "9" * 17, "²", "1 2", "99999"])
async def test_event_sources_do_not_go_on_from_noise(town: Town, things: dict[str, Any], last: str) -> None:
    path = f"/streams/auction:{things['auction']}/events"
    headers = {"Accept": "text/event-stream", "Last-Event-ID": last}
    (await town.call("GET", path, headers=headers)).refused("VALIDATION_FAILED")


# keys

BAD_KEYS: Final = ("", " ", "a b", "k" * 201, "é", "a\tb", "😀")


@pytest.mark.parametrize("key", BAD_KEYS, ids=range(len(BAD_KEYS)))
async def test_keys_of_the_wrong_form(
    town: Town, things: dict[str, Any], client: Person, bob: Person, key: str
) -> None:
    async with town.unchanged():
        for method, path, who, body in (
            ("POST", f"/auctions/{things['auction']}/bids", bob, {"amount": 80_000}),
            ("POST", "/jobs", client, town.job()),
            ("PATCH", f"/jobs/{things['job']}", client, {"title": "x"}),
            (
                "POST",
                "/auth/register",
                None,
                {"email": "k@example.com", "password": "long enough", "name": "K", "role": "both"},
            ),
        ):
            problem = (await town.call(method, path, who, json=body, key=key)).refused("VALIDATION_FAILED")
            assert problem["errors"][0]["loc"] == ["header", "Idempotency-Key"]


async def test_a_bid_needs_a_key(town: Town, things: dict[str, Any], bob: Person) -> None:
    async with town.unchanged():
        reply = await town.call("POST", f"/auctions/{things['auction']}/bids", bob, json={"amount": 80_000})
        assert reply.refused("VALIDATION_FAILED")["errors"][0]["loc"] == ["header", "Idempotency-Key"]


async def test_a_key_is_good_for_one_request(
    town: Town, client: Person, rival: Person, ann: Person, bob: Person
) -> None:
    key = town.key()
    first = await town.call("POST", "/jobs", client, json=town.job(title="One"), key=key)
    assert first.status == 201
    async with town.unchanged():
        other = await town.call("POST", "/jobs", client, json=town.job(title="Two"), key=key, at=1)
        other.refused("IDEMPOTENCY_MISMATCH")
        path = f"/jobs/{first.json['id']}"
        (await town.call("PATCH", path, client, json={"title": "Two"}, key=key)).refused("IDEMPOTENCY_MISMATCH")
        (await town.call("DELETE", path, client, key=key)).refused("IDEMPOTENCY_MISMATCH")
    stranger = await town.call("POST", "/jobs", rival, json=town.job(title="One"), key=key)
    assert (stranger.status, stranger.json["owner"]) == (201, rival.id)

    bids = f"/auctions/{first.json['auction']['id']}/bids"
    placed = await town.call("POST", bids, ann, json={"amount": 90_000}, key=key)
    assert placed.status == 201
    async with town.unchanged():
        again = await town.call("POST", bids, ann, json={"amount": 90_000}, key=key, at=1)
        assert again.json == {**placed.json, "replayed": True}
        for changed in ({"amount": 80_000}, {"amount": 90_000, "kind": "auto"}):
            (await town.call("POST", bids, ann, json=changed, key=key, at=1)).refused("IDEMPOTENCY_MISMATCH")
        retract = f"{bids}/{placed.json['seq']}/retract"
        (await town.call("POST", retract, ann, json={"reason": "typo"}, key=key)).refused("IDEMPOTENCY_MISMATCH")
    assert (await town.call("POST", bids, bob, json={"amount": 80_000}, key=key)).status == 201


async def test_a_key_used_by_many_at_once(town: Town, client: Person, ann: Person) -> None:
    """Twenty requests at two instances: of equal ones all get the one effect, of different ones one has it."""
    key = town.key()
    body = town.job(title="Only one")
    replies = await asyncio.gather(
        *[town.call("POST", "/jobs", client, json=body, key=key, at=n % 2) for n in range(20)]
    )
    assert {reply.status for reply in replies} == {201}
    assert len({reply.json["id"] for reply in replies}) == 1
    bids = f"/auctions/{replies[0].json['auction']['id']}/bids"

    key = town.key()
    same = {"amount": 90_000}
    replies = await asyncio.gather(*[town.call("POST", bids, ann, json=same, key=key, at=n % 2) for n in range(20)])
    assert {(reply.status, reply.json["seq"]) for reply in replies} == {(201, 2)}
    assert sum("replayed" not in reply.json for reply in replies) == 1

    key = town.key()
    many = [{"amount": 80_000 - number, "kind": "auto"} for number in range(20)]
    replies = await asyncio.gather(
        *[town.call("POST", bids, ann, json=one, key=key, at=n % 2) for n, one in enumerate(many)]
    )
    assert sorted(reply.status for reply in replies) == [201] + [409] * 19
    assert {reply.json["code"] for reply in replies if reply.status == 409} == {"IDEMPOTENCY_MISMATCH"}
    auction = (await town.call("GET", bids.removesuffix("/bids"))).json
    assert (auction["bid_count"], auction["seq"]) == (2, 3)


async def test_the_servers_own_keys_are_out_of_reach(town: Town, client: Person) -> None:
    """A client may choose any key, also one under which the server itself might have written for it."""
    for key in ("open", "close", "cancel", "project", "system"):
        job = await town.post(client)
        assert (await town.call("POST", f"/jobs/{job['id']}/cancel", client, json={}, key=key)).status == 200
