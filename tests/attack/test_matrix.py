"""Who may do what: every REST route and every socket command, for everybody there is. A new one without a row fails here."""

from __future__ import annotations

import asyncio
import dataclasses
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Final

import pytest
from pydantic import BaseModel

from server.clock import new_id
from server.errors import CODES
from server.realtime.namespace import Namespace
from server.settings import Settings
from server.web.router import API_PREFIX, Route, Router
from tests.attack.matrix import FRESH, ROLES, Row, fill, is_success, without_row, without_target
from tests.attack.matrix_live import LIVE, NAMESPACES
from tests.attack.matrix_rest import REST
from tests.attack.matrix_stage import Actor, Cast, Stage
from tests.attack.matrix_things import MAKERS, Maker
from tests.handlers.market import PASSWORD, Market, opened
from tests.server.realtime.wire import Wire

ROWS: Final = (*REST, *LIVE)

OPERATIONS: Final = (
    "/health/live", "/health/ready", "/api/health", "/metrics", "/api/openapi.json", "/api/asyncapi.json", "/api/docs",
    "/api/docs/docs.css", "/api/docs/docs.js",
)  # fmt: skip
"""What is served beside the routes, to everybody."""


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
        for roles in [[role] for role in admitted] if row.changes and not row.harmless else [admitted]:
            answers |= await self._answers(row, roles)
            if row.changes:
                await self._give_up(row)
        if row.personal:
            for role in admitted:
                self._cast.release(role)
        return answers

    async def close(self) -> None:
        """Hang up everywhere."""
        for stage in self._stages.values():
            await stage.close()

    async def _refused(self, row: Row, roles: list[str]) -> dict[str, str]:
        stage = await self._stage(row, roles)
        before = await self._fingerprint(stage)
        answers = await self._answers(row, roles)
        after = await self._fingerprint(stage)
        if changed := [name for name in after if after[name] != before.get(name)]:
            await self._give_up(row)
            answers["changed by the refused"] = ", ".join(changed)
        return answers

    async def _answers(self, row: Row, roles: list[str]) -> dict[str, str]:
        stage = await self._stage(row, roles)
        return dict(zip(roles, await asyncio.gather(*(ask(stage, row, role) for role in roles)), strict=True))

    async def _stage(self, row: Row, roles: list[str]) -> Stage:
        """One with the row's things, as if nothing had happened on it, and with the sockets of these people."""
        makers = frozenset(MAKERS[thing] for thing in row.things if thing in MAKERS)
        stage = self._stages.get(makers)
        if stage is None:
            stage = self._stages[makers] = Stage(self._cast, MAKERS)
        await stage.set(row.things - {FRESH})
        if row.is_command:
            for role in roles:
                await stage.wire(role, row.verb)
        return stage

    async def _give_up(self, row: Row) -> None:
        makers = frozenset(MAKERS[thing] for thing in row.things if thing in MAKERS)
        await self._stages.pop(makers).close()

    async def _fingerprint(self, stage: Stage) -> dict[str, Any]:
        """What there is, but for what follows it sometime."""
        db = self._market.context.db
        hashes: dict[str, Any] = (await db.command("dbHash"))["collections"]
        own = db["jobs"].find({"owner": stage.things["owner"]}, _FOLLOWING)
        places = await db["rooms"].distinct("place")
        events = await db["events"].count_documents({})  # what was deleted loses its text in them, sometime
        return {**hashes, "events": events, "jobs": await own.to_list(), "rooms": places}


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
    if any(route.needs_key and row.fits(route) for route in stage.market.context.router):
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


@pytest.fixture(autouse=True)
def unharmed() -> None:
    """The other attacks' town is not needed here."""


@pytest.fixture(scope="module")
async def market(
    mongodb_url: str, redis_url: str, module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Market]:
    """A market in which nothing happens by itself."""
    settings = Settings(
        mongodb_url=mongodb_url,
        mongodb_database=module_database,
        redis_url=redis_url,
        token_secret=secrets.token_urlsafe(48),
        data_dir=tmp_path_factory.mktemp("matrix"),
        argon2_memory_kib=64,
        argon2_time=1,
        log_json=False,
        simulate=False,
        rate_limits=False,
    )
    async with opened(settings, worker=False) as running:
        yield running


@pytest.fixture(scope="module")
async def theatre(market: Market) -> AsyncIterator[Theatre]:
    theatre = Theatre(market)
    yield theatre
    await theatre.close()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_everybody_is_answered_as_expected(theatre: Theatre, row: Row) -> None:
    assert await theatre.answers(row) == row.expected


# nothing is forgotten


def test_everything_has_a_row(market: Market) -> None:
    context = market.context
    assert without_row(ROWS, context.router, context.sockets) == []
    assert without_target(ROWS, context.router, context.sockets) == []
    assert tuple(namespace.name for namespace in context.sockets) == NAMESPACES


async def _never(_: Any) -> dict[str, Any]:
    raise AssertionError


def test_what_is_new_and_has_no_row_is_noticed(market: Market) -> None:
    router = copied(market.context.router)
    router.add("POST", "/rooms/{id}/pins", _never, summary="Pin a message", tags=["rooms"])
    router.add("DELETE", "/rooms", _never, summary="Delete all rooms", tags=["rooms"])
    chat = Namespace("/chat")
    for event in ("send", "pin"):
        chat.command(event, BaseModel, lambda connection, _: _never(connection), answer=BaseModel, summary=event)
    found = without_row(ROWS, router, [chat, Namespace("/market")])
    assert found == ["POST /rooms/<>/pins", "DELETE /rooms", "/chat pin"]


def test_rows_that_are_taken_out_are_missed(market: Market) -> None:
    context = market.context
    for place in {row.place for row in ROWS}:
        others = [row for row in ROWS if row.place != place]
        assert without_row(others, context.router, context.sockets) == [place]


def test_rows_of_what_is_gone_are_noticed(market: Market) -> None:
    router = copied(route for route in market.context.router if route.path != "/blocks")
    gone = without_target(ROWS, router, [it for it in market.context.sockets if it.name != "/notifications"])
    commands = ("read", "subscribe", "sync_time", "unsubscribe")
    assert gone == [*(f"/notifications {command}" for command in commands), "GET /blocks", "POST /blocks"]


def copied(routes: Iterable[Route]) -> Router:
    """Another router with these routes."""
    router = Router()
    for route in routes:
        router.add(**{field.name: getattr(route, field.name) for field in dataclasses.fields(route)})
    return router


def test_answers_are_what_the_route_says_of_itself(market: Market) -> None:
    """Where a login is required nobody gets anything without; successes have the status that is described."""
    for route in market.context.router:
        for row in (row for row in REST if row.fits(route)):
            answers = row.expected
            assert (answers["anonymous"] == "UNAUTHENTICATED") or route.auth != "required", row.what
            assert {word for word in answers.values() if is_success(word)} <= {str(route.status), "204"}, row.what
            if route.admin:
                assert not any(is_success(word) for role, word in answers.items() if role != "admin"), row.what


def test_without_a_token_nothing_is_changed_but_by_logging_in() -> None:
    changing = {row.place for row in ROWS if row.changes and is_success(row.expected["anonymous"])}
    assert changing == {"POST /auth/register", "POST /auth/login", "POST /auth/refresh", "POST /auth/verify-email"}


# whole sweeps


async def test_nobody_gets_past_a_route_that_requires_a_login(market: Market) -> None:
    """Whatever is asked for and sent along."""
    required = [route for route in market.context.router if route.auth == "required"]
    assert len(required) > 50
    assert await admitted(market, required, {}) == {}
    for header in ("", "Bearer", "Bearer ", "Bearer null", "Basic YTpi"):
        assert await admitted(market, required, {"Authorization": header}) == {}


async def _logs_out(cast: Cast, who: Actor) -> None:
    assert (await cast.market.call("POST", "/auth/logout", who))[0] == 204


async def _is_logged_out_elsewhere(cast: Cast, who: Actor) -> None:
    other = await cast.again(who)
    _, sessions = await cast.market.call("GET", "/auth/sessions", other)
    for session in sessions["items"]:
        if not session["current"]:
            assert (await cast.market.call("DELETE", f"/auth/sessions/{session['id']}", other))[0] == 204


async def _changes_the_password_elsewhere(cast: Cast, who: Actor) -> None:
    body = {"current_password": PASSWORD, "new_password": "another horse battery"}
    assert (await cast.market.call("POST", "/auth/password", await cast.again(who), body))[0] == 204


async def _has_a_refresh_token_stolen(cast: Cast, who: Actor) -> None:
    for expected in (200, 401):
        assert (await cast.market.call("POST", "/auth/refresh", body={"refresh_token": who.refresh}))[0] == expected


@pytest.mark.parametrize(
    "end", [_logs_out, _is_logged_out_elsewhere, _changes_the_password_elsewhere, _has_a_refresh_token_stolen]
)
async def test_a_session_that_has_ended_is_let_in_nowhere(
    market: Market, end: Callable[[Cast, Actor], Awaitable[None]]
) -> None:
    """Not even where no token is needed: a bad one is refused."""
    cast = Cast(market)
    who = await cast.newcomer("admin")
    routes = [route for route in market.context.router if route.auth != "none"]
    wire = Wire(str(market.http.make_url("/")), "websocket")
    async with wire:
        assert "sid" in await wire.connect("/chat", {"token": who.token})
        await end(cast, who)
        await wire.closing()
    assert await admitted(market, routes, {"Authorization": f"Bearer {who.token}"}) == {}
    for namespace in NAMESPACES:
        async with Wire(str(market.http.make_url("/")), "websocket") as wire:
            assert (await wire.connect(namespace, {"token": who.token}))["message"] == "UNAUTHENTICATED"
    assert (await market.call("POST", "/auth/refresh", body={"refresh_token": who.refresh}))[0] == 401


async def admitted(market: Market, routes: Iterable[Route], headers: dict[str, str]) -> dict[str, str]:
    """Every route and method whose answer is anything but UNAUTHENTICATED."""
    calls = [
        (method, route) for route in routes for method in (route.method, *(["HEAD"] if route.method == "GET" else []))
    ]

    async def call(method: str, route: Route) -> str:
        path = re.sub(r"{\w+}", "x", route.template.removeprefix(API_PREFIX))
        return await answer_to(market, method, path, headers, data=b"{" if route.mutates else None)

    answers = await asyncio.gather(*(call(*it) for it in calls))
    found = {f"{method} {route.path}": answer for (method, route), answer in zip(calls, answers, strict=True)}
    return {call: answer for call, answer in found.items() if answer not in ("UNAUTHENTICATED", "401")}


# what is no route


async def test_what_is_served_beside_the_routes_is_known(market: Market) -> None:
    app = market.http.app
    assert app is not None
    routes = {route.template for route in market.context.router}
    beside = {resource.canonical for resource in app.router.resources()} - routes
    assert beside == {*OPERATIONS, "/socket.io/"}


@pytest.mark.parametrize("path", OPERATIONS)
async def test_operations_ask_for_no_login(market: Market, path: str) -> None:
    for token in (None, "not a token"):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with market.http.get(path, headers=headers) as answer:
            assert answer.status == 200
        async with market.http.post(path, headers=headers) as answer:
            assert answer.status == 405
