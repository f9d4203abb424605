"""Whatever is sent to what the OpenAPI document describes, the answer is one that it describes, and never a 5xx."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from handlers.auth.service import VERIFY_EMAIL
from server.auth.links import Links
from server.clock import Clock
from server.errors import CODES
from tests.attack.town import PROBLEM, Person, Town

CHECKS: Final = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
MODES: Final = tuple(schemathesis.GenerationMode)
DEAF: Final = "http://127.0.0.1:65535/"
"""Where nobody listens to webhooks."""

Known = Mapping[str, Sequence[str]]
"""By the beginning of a path: what stands for its first parameter."""


@pytest.fixture
async def known(town: Town, client: Person, ann: Person, bob: Person, admin: Person) -> Known:
    """Ids of things that exist, in many states, some of them out of sight for most callers."""
    jobs = [
        await town.post(client),
        await town.post(client, visibility="invited", invited=[ann.id]),
        await town.post(client, auction=town.terms(format="sealed")),
        await town.post(client, auction=town.terms(format="proposal", reserve_amount=None)),
        await town.post(admin, auction=town.terms(format="english", reserve_amount=None)),
        await town.post(client, status="draft"),
        await town.post(client, auction=None),
    ]
    auctions = [job["auction"]["id"] for job in jobs if job["auction"]]
    for place in (0, 2, 3):
        for bidder, amount in ((ann, 95_000), (bob, 90_000)):
            await town.bid(bidder, auctions[place], amount)
    hook = {"url": DEAF, "events": ["job.created", "bid.submitted"]}
    hooks = [(await town.call("POST", "/webhooks", person, json=hook)).json["id"] for person in (client, ann)]
    rooms = [await _room(town, client, ann, kind="dm", user=ann.id)]
    rooms += [await _room(town, client, ann, bob, kind="job", job=jobs[place]["id"]) for place in (0, 2)]
    spare = [await town.login(person.email) for person in (client, ann, admin)]
    sessions = [(await town.call("GET", "/auth/sessions", person)).json["items"] for person in spare]
    return {
        "/api/v1/jobs/": [job["id"] for job in jobs],
        "/api/v1/auctions/": auctions,
        "/api/v1/users/": [client.id, ann.id, admin.id],
        "/api/v1/rooms/": rooms,
        "/api/v1/streams/": [f"{kind}:{auction}" for kind in ("auction", "sealed") for auction in auctions]
        + [f"room:{room}" for room in rooms],
        "/api/v1/webhooks/": hooks,
        "/api/v1/auth/sessions/": [session["id"] for items in sessions for session in items if session["current"]],
    }


async def _room(town: Town, *people: Person, **body: str) -> str:
    """The id of a room in which each of these has said something."""
    room = (await town.call("POST", "/rooms", people[0], json=body)).json["id"]
    for person in people:
        said = await town.call("POST", f"/rooms/{room}/messages", person, json={"text": "Which green?"}, key=town.key())
        assert said.status == 201, said
    return str(room)


@pytest.fixture
async def callers(town: Town, client: Person, ann: Person, admin: Person) -> list[str | None]:
    """A client, a freelancer, an admin and nobody; on logins of their own, since they will log out."""
    return [*[(await town.login(person.email)).token for person in (client, ann, admin)], None]


@pytest.fixture
def sensible(town: Town, ann: Person) -> st.SearchStrategy[dict[str, Any]]:
    """Values of fields that make sense, where any of the described form would hardly ever."""
    later = st.integers(3_600, 90_000).map(town.in_seconds)
    bodies = st.sampled_from(["reverse", "english", "sealed", "proposal"])
    return st.fixed_dictionaries(
        {
            "auction": bodies.map(lambda form: town.terms(format=form, reserve_amount=None)),
            "budget": st.just({"min": 5, "max": 100_000, "currency": "EUR"}),
            "location": st.just({"lat": 45.4, "lng": 12.3}),
            "hourly_rate": st.just({"amount": 5_000, "currency": "EUR"}),
            "invited": st.just([ann.id]),
            "amount": st.integers(1_000, 110_000),
            "seq": st.integers(1, 4),
            "end_at": later,
            "hard_end_at": st.none(),
            "email": st.integers(0, 10**12).map(lambda number: f"somebody{number}@example.com"),
            "password": st.just("correct horse battery"),
            "reason": st.sampled_from(["typo", "scope_changed"]),
            "kind": st.sampled_from(["exact", "auto"]),
            "currency": st.just("EUR"),
            "if_seq": st.none(),
            "bidder": st.sampled_from(["Bidder 1", "Bidder 2", ann.id]),
            "delivery_days": st.sampled_from([None, 5]),
            "cursor": st.none(),
            "page": st.none(),
            "near": st.just("45.44,12.33"),
            "sort": st.sampled_from(["newest", "budget", "ending", "popular"]),
            "url": st.just(DEAF),
            "text": st.sampled_from(["A fence", "green\n\tgreen", "x" * 4_000, "👩🏽‍💻"]),
            "emoji": st.sampled_from(["👍", "❤", "nope"]),
            "reply_to": st.none() | st.integers(1, 6),
            "mentions": st.sampled_from([None, [], [ann.id]]),
            "q": st.sampled_from(["green", '"which green" -red']),
            "user": st.just(ann.id),
            "after": st.integers(0, 2),
        }
    )


class Attack:
    """Sends cases and judges the answers.

    Args:
        callers: the tokens to use; None for nobody. sensible: see the fixture.

    Attributes:
        accepted: how many cases of each operation were answered 2xx.
    """

    def __init__(
        self, town: Town, known: Known, callers: Sequence[str | None], sensible: st.SearchStrategy[dict[str, Any]]
    ) -> None:
        self.accepted: Counter[str] = Counter()
        self._urls = town.urls
        self._known = known
        self._callers = callers
        self._sensible = sensible
        self._session = requests.Session()

    def on(self, operation: Any, examples: int, *, random: bool) -> Exception | None:
        """Many cases of one operation, valid and invalid ones, by anybody, at any instance; what went wrong."""
        prefix = next((prefix for prefix in self._known if operation.path.startswith(prefix + "{")), "")
        cases = st.one_of([operation.as_strategy(generation_mode=mode) for mode in MODES])
        places = st.sampled_from([*self._known.get(prefix, []), None])
        repairs = st.one_of(self._sensible, st.just({}))

        @settings(
            max_examples=examples,
            derandomize=not random,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases, st.sampled_from(self._callers), st.sampled_from(self._urls), places, repairs)
        def attack(case: Any, caller: str | None, url: str, place: str | None, repair: dict[str, Any]) -> None:
            if place is not None and prefix:
                case.path_parameters[next(iter(case.path_parameters))] = place
            _repair(case, repair)
            self._send(case, caller, url)

        try:
            attack()
        except Exception as failure:
            failure.add_note(f"in {operation.label}")
            return failure
        return None

    def _send(self, case: Any, caller: str | None, url: str) -> None:
        headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {caller}"} if caller else {})
        answer = case.call(base_url=url, session=self._session, headers=headers, timeout=30)
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400:
            assert answer.headers["content-type"] == [PROBLEM], answer.headers
            problem = answer.json()
            assert problem["code"] in CODES
            assert problem["request_id"] == answer.headers["x-request-id"][0]
        else:
            self.accepted[case.operation.label] += 1


def _repair(case: Any, repair: Mapping[str, Any]) -> None:
    """Put sensible values in, where there are any; and don't wait for events that never come."""
    for fields in (case.body, case.query, case.path_parameters):
        if isinstance(fields, dict):
            for name in fields.keys() & repair.keys():
                fields[name] = repair[name]
    for name in [name for name, value in (case.query or {}).items() if value is None]:
        del case.query[name]
    if case.query and "wait" in case.query:
        case.query["wait"] = _brief(case.query["wait"])


def _brief(wait: Any) -> Any:
    """A valid wait, made short; what is invalid stays as it is."""
    try:
        return 0.01 if 0 <= float(wait) <= 30 else wait
    except (TypeError, ValueError):
        return wait


def _ends_the_login(operation: Any) -> bool:
    return bool(operation.path.endswith("/logout"))


@pytest.fixture
def attack(
    town: Town, known: Known, callers: list[str | None], sensible: st.SearchStrategy[dict[str, Any]]
) -> Callable[..., None]:
    """Attacks every operation with so many cases."""

    def run(examples: int, *, random: bool = False) -> None:
        attack = Attack(town, known, callers, sensible)
        schema = _schema(town)
        operations = sorted((found.ok() for found in schema.get_all_operations()), key=_ends_the_login)
        failures = [attack.on(operation, examples, random=random) for operation in operations]
        if found := [failure for failure in failures if failure is not None]:
            raise ExceptionGroup("answers that the description does not foresee", found)
        # Where nothing gets through there was no attack.
        assert attack.accepted.keys() >= {
            "GET /api/v1/jobs",
            "POST /api/v1/jobs",
            "GET /api/v1/streams/{stream}/events",
        }

    return run


def _schema(town: Town) -> Any:
    schema = schemathesis.openapi.from_url(f"{town.urls[0]}/api/openapi.json", config=schemathesis.Config())
    schema.config.generation = GenerationConfig(with_security_parameters=False)
    return schema


def test_answers_are_as_described(attack: Callable[..., None]) -> None:
    attack(10)


@pytest.mark.soak
def test_very_many_answers_are_as_described(attack: Callable[..., None]) -> None:
    attack(300, random=True)


class Visitor:
    """Asks for things that work, and holds each answer against its description."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._schema = _schema(town)
        self._session = requests.Session()
        self.visited: set[str] = set()

    def ask(self, label: str, who: Person | None = None, *place: object, body: Any = None, query: str = "") -> Any:
        """The JSON of a successful answer; `label` as in `GET /jobs/{id}`, `place` fills its braces."""
        method, _, template = label.partition(" ")
        path = re.sub(r"{\w+}", "%s", template) % place
        headers = {"Idempotency-Key": self._town.key()} if method != "GET" else {}
        if who is not None:
            headers["Authorization"] = f"Bearer {who.token}"
        url = f"{self._town.urls[0]}/api/v1{path}{query}"
        answer = self._session.request(method, url, json=body, headers=headers, timeout=30)
        assert answer.ok, (label, answer.status_code, answer.text)
        self._schema["/api/v1" + template][method].validate_response(answer)
        self.visited.add(f"{method} /api/v1{template}")
        return answer.json() if answer.headers.get("Content-Type") == "application/json" else answer.text

    def unvisited(self) -> set[str]:
        """Operations that were never asked."""
        return {found.ok().label for found in self._schema.get_all_operations()} - self.visited

    def when(self, label: str, who: Person, *place: object, status: str) -> None:
        """Ask until the status is that."""
        while self.ask(label, who, *place)["status"] != status:
            time.sleep(0.1)


def test_a_whole_market_day_is_as_described(
    town: Town, admin: Person, client: Person, ann: Person, bob: Person
) -> None:
    """Every operation, where it succeeds."""
    visit = Visitor(town)
    ask = visit.ask
    _open_formats(town, visit, client, ann, bob, admin)
    _proposals(town, visit, client, ann)
    _webhooks(visit, client)
    _rooms(town, visit, client, ann)
    _moderation(visit, client, ann, admin)
    _notifications(visit, client)
    ask("GET /jobs", query="?page=1&q=gondola&limit=2")
    ask("GET /jobs", ann, query="?near=45.4,12.3&limit=2")
    me = _accounts(town, visit)
    ask("GET /users/{id}", None, me)
    assert visit.unvisited() == set()


def _open_formats(town: Town, visit: Visitor, client: Person, ann: Person, bob: Person, admin: Person) -> None:
    ask = visit.ask
    soon = town.terms(end_at=town.in_seconds(4), reserve_amount=None)
    draft = ask("POST /jobs", client, body=town.job(status="draft", auction=None))["id"]
    ask("PATCH /jobs/{id}", client, draft, body={"title": "Another title"})
    ask("DELETE /jobs/{id}", client, draft)
    job = ask("POST /jobs", client, body=town.job(status="draft", auction=soon))
    job = ask("POST /jobs/{id}/publish", client, job["id"])
    auction = job["auction"]["id"]
    ask("POST /auctions/{id}/bids", ann, auction, body={"amount": 90_000, "kind": "auto"})
    placed = ask("POST /auctions/{id}/bids", bob, auction, body={"amount": 95_000})
    ask("POST /auctions/{id}/bids/{seq}/retract", bob, auction, placed["seq"], body={"reason": "typo"})
    ask("PATCH /jobs/{id}", client, job["id"], body={"description": "Eleven metres."})
    ask("POST /auctions/{id}/reconfirm", ann, auction)
    ask("POST /auctions/{id}/pause", admin, auction)
    ask("POST /auctions/{id}/resume", admin, auction)
    visit.when("GET /auctions/{id}", ann, auction, status="awarded")
    ask("POST /auctions/{id}/decline", ann, auction, body={"reason": "too busy"})
    ask("POST /auctions/{id}/reopen", client, auction, body={"end_at": town.in_seconds(2)})
    ask("POST /auctions/{id}/bids", bob, auction, body={"amount": 95_000})
    visit.when("GET /auctions/{id}", bob, auction, status="awarded")
    ask("POST /auctions/{id}/accept", bob, auction)
    ask("POST /jobs/{id}/complete", client, job["id"])
    ask("GET /users/me/bids", bob)
    ask("GET /jobs/{id}", client, job["id"])
    ask("GET /auctions/{id}/log", None, auction)
    ask("GET /auctions/{id}/export", admin, auction)
    ask("GET /streams/{stream}", client, f"auction:{auction}")
    ask("GET /streams/{stream}/events", None, f"auction:{auction}")


def _proposals(town: Town, visit: Visitor, client: Person, ann: Person) -> None:
    ask = visit.ask
    terms = town.terms(format="proposal", reserve_amount=None)
    job = ask("POST /jobs", client, body=town.job(auction=terms))
    auction = job["auction"]["id"]
    ask("POST /auctions/{id}/bids", ann, auction, body={"amount": 90_000, "delivery_days": 3, "cover_letter": "I can."})
    ask(
        "POST /auctions/{id}/counter", client, auction, body={"amount": 80_000, "bidder": "Bidder 1", "message": "And?"}
    )
    ask("GET /auctions/{id}", ann, auction)
    ask("POST /auctions/{id}/award", client, auction, body={"bidder": "Bidder 1"})
    idle = ask("POST /jobs", client, body=town.job())
    ask("POST /jobs/{id}/cancel", client, idle["id"])


def _webhooks(visit: Visitor, client: Person) -> None:
    ask = visit.ask
    hook = ask("POST /webhooks", client, body={"url": DEAF, "events": ["job.created"], "description": "books"})["id"]
    ask("PATCH /webhooks/{id}", client, hook, body={"events": ["job.created", "award.accepted"]})
    ask("POST /webhooks/{id}/rotate", client, hook)
    ask("GET /webhooks/{id}", client, hook)
    ask("GET /webhooks", client)
    delivery = ask("POST /webhooks/{id}/ping", client, hook)["id"]
    while not ask("GET /webhooks/{id}/deliveries/{delivery}", client, hook, delivery)["tries"]:
        time.sleep(0.1)
    ask("GET /webhooks/{id}/deliveries", client, hook)
    ask("POST /webhooks/{id}/deliveries/{delivery}/replay", client, hook, delivery)
    ask("POST /webhooks/{id}/replay", client, hook, body={"since": "2020-01-01T00:00:00.000Z"})
    ask("DELETE /webhooks/{id}", client, hook)


def _rooms(town: Town, visit: Visitor, client: Person, ann: Person) -> None:
    ask = visit.ask
    job = ask("POST /jobs", client, body=town.job(visibility="invited", invited=[ann.id]))["id"]
    ask("POST /rooms", client, body={"kind": "dm", "user": ann.id})
    room = ask("POST /rooms", ann, body={"kind": "job", "job": job})["id"]
    said = ask("POST /rooms/{id}/messages", client, room, body={"text": f"Which green, @{ann.id}?"})["seq"]
    reply = {"text": "Moss", "reply_to": said, "mentions": [client.id], "attachments": []}
    answer = ask("POST /rooms/{id}/messages", ann, room, body=reply)["seq"]
    ask("PATCH /rooms/{id}/messages/{seq}", ann, room, answer, body={"text": "Sea"})
    ask("GET /rooms/{id}/messages/{seq}/versions", ann, room, answer)
    ask("POST /rooms/{id}/messages/{seq}/reactions", ann, room, said, body={"emoji": "👍"})
    ask("DELETE /rooms/{id}/messages/{seq}/reactions/{emoji}", ann, room, said, "👍")
    ask("POST /rooms/{id}/messages/{seq}/reactions", client, room, answer, body={"emoji": "❤"})
    ask("POST /rooms/{id}/delivered", ann, room, body={"seq": answer})
    ask("GET /rooms/unread", client)
    ask("POST /rooms/{id}/read", client, room, body={"seq": answer})
    ask("PUT /rooms/{id}/mute", client, room, body={"muted": True})
    ask("DELETE /rooms/{id}/messages/{seq}", client, room, said)
    ask("GET /rooms/{id}/messages", client, room, query="?after=0&limit=1")
    ask("GET /rooms/{id}/search", client, room, query="?q=moss")
    ask("GET /rooms/{id}", client, room)
    ask("GET /rooms", ann, query="?limit=1")
    ask("GET /rooms", ann, query="?kind=job&page=1")
    ask("DELETE /rooms/{id}/members/{user}", client, room, ann.id)


def _moderation(visit: Visitor, client: Person, ann: Person, admin: Person) -> None:
    ask = visit.ask
    room = ask("POST /rooms", client, body={"kind": "dm", "user": ann.id})["id"]
    seqs = [ask("POST /rooms/{id}/messages", ann, room, body={"text": text})["seq"] for text in ("Fool", "You")]
    ask("DELETE /rooms/{id}/messages/{seq}", ann, room, seqs[1])
    ask("GET /rooms/{id}/presence", client, room)
    report = ask("POST /rooms/{id}/reports", client, room, body={"messages": seqs, "reason": "abuse", "note": "See?"})[
        "id"
    ]
    ask("GET /moderation/reports", admin, query="?status=open")
    ask("GET /moderation/reports/{id}", admin, report)
    ask("POST /moderation/reports/{id}/resolve", admin, report, body={"action": "remove_messages"})
    ask("POST /moderation/bans", admin, body={"user": ann.id, "reason": "Spam"})
    ask("GET /moderation/bans", admin)
    ask("DELETE /moderation/bans/{user}", admin, ann.id)
    ask("POST /blocks", client, body={"user": ann.id})
    ask("GET /blocks", client)
    ask("DELETE /blocks/{user}", client, ann.id)
    ask("GET /audit", admin, query="?action=ban.added")
    ask("GET /operations", admin)


def _notifications(visit: Visitor, client: Person) -> None:
    ask = visit.ask
    while not (page := ask("GET /notifications", client, query="?limit=1"))["items"]:
        time.sleep(0.1)
    ask("POST /notifications/read", client, body={"seq": page["items"][0]["seq"]})
    ask("GET /notifications", client, query=f"?before={page['items'][0]['seq']}")
    ask("GET /streams/{stream}", client, f"user:{client.id}")
    ask("GET /streams/{stream}/events", client, f"user:{client.id}")


def _accounts(town: Town, visit: Visitor) -> str:
    ask = visit.ask
    credentials = {"email": "day@example.com", "password": "correct horse battery"}
    first = _person(ask("POST /auth/register", body={**credentials, "name": "Day", "role": "both"}))
    second = _person(ask("POST /auth/login", body=credentials))
    ask("GET /users/me", first)
    ask("PATCH /users/me", first, body={"about": "x", "location": {"remote": True}, "hourly_rate": None})
    own = ask("GET /auth/sessions", first)["items"]
    ask("DELETE /auth/sessions/{id}", first, next(item["id"] for item in own if not item["current"]))
    ask("POST /auth/refresh", body={"refresh_token": first.refresh_token})
    link = Links(town.secret, Clock()).sign(VERIFY_EMAIL, first.id, credentials["email"], 60)
    ask("GET /auth/verify-email", query=f"?token={link}")
    ask("POST /auth/verify-email", body={"token": link})
    ask("POST /auth/resend-verification", first)
    passwords = {"current_password": credentials["password"], "new_password": "another horse battery"}
    ask("POST /auth/password", first, body=passwords)
    ask("POST /auth/logout", first)
    return second.id


def _person(answer: dict[str, Any]) -> Person:
    user = answer["user"]
    return Person(user["id"], user["email"], answer["access_token"], answer["refresh_token"])
