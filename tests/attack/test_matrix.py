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

from server.realtime.namespace import Namespace
from server.settings import Settings
from server.web.asyncapi import error_codes
from server.web.openapi import problem_codes
from server.web.router import API_PREFIX, Route, Router
from server.web.site import ROUTE as SITE
from tests.attack.matrix import Row, is_success, place_of, without_row, without_target
from tests.attack.matrix_live import LIVE, NAMESPACES
from tests.attack.matrix_rest import REST
from tests.attack.matrix_stage import Actor, Cast
from tests.attack.matrix_theatre import KEYED, Theatre, answer_to
from tests.handlers.market import PASSWORD, Market, opened
from tests.server.realtime.wire import Wire

ROWS: Final = (*REST, *LIVE)

OPERATIONS: Final = (
    "/health/live", "/health/ready", "/api/health", "/metrics", "/api/openapi.json", "/api/asyncapi.json", "/api/docs",
    "/api/docs/docs.css", "/api/docs/docs.js",
)  # fmt: skip
"""What is served beside the routes, to everybody."""


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
        ping_interval_s=600,  # between their rows nobody answers
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
    commands = ("read", "reauthenticate", "subscribe", "sync_time", "unsubscribe")
    assert gone == [*(f"/notifications {command}" for command in commands), "GET /blocks", "POST /blocks"]


def copied(routes: Iterable[Route]) -> Router:
    """Another router with these routes."""
    router = Router()
    for route in routes:
        router.add(**{field.name: getattr(route, field.name) for field in dataclasses.fields(route)})
    return router


def test_answers_are_what_routes_say_of_themselves(market: Market) -> None:
    """Where a login is required nobody gets anything without; successes and refusals are those that are described."""
    for route in market.context.router:
        assert route.needs_key == (place_of(route) in KEYED)
        for row in (row for row in ROWS if row.fits(route)):
            successes, codes = split(row)
            assert (row.expected["anonymous"] == "UNAUTHENTICATED") or route.auth != "required", row.what
            assert set(successes.values()) <= {str(route.status), "204"}, row.what
            assert set(successes) <= {"admin"} or not route.admin, row.what
            assert codes <= set(problem_codes(route)), row.what


def test_answers_are_what_commands_say_of_themselves(market: Market) -> None:
    for namespace in market.context.sockets:
        for command in namespace.commands:
            for row in (row for row in ROWS if row.what == f"{namespace.name} {command.event}"):
                successes, codes = split(row)
                assert "anonymous" not in successes or namespace.anonymous, row.what
                if not namespace.anonymous:
                    codes -= {"UNAUTHENTICATED"}  # the answer to connecting
                assert codes <= set(error_codes(command)), row.what


def split(row: Row) -> tuple[dict[str, str], set[str]]:
    """The successes by role, and the codes of the refusals."""
    successes = {role: word for role, word in row.expected.items() if is_success(word)}
    return successes, set(row.expected.values()) - set(successes.values())


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
    assert beside == {*OPERATIONS, "/socket.io/", SITE}


@pytest.mark.parametrize("path", OPERATIONS)
async def test_operations_ask_for_no_login(market: Market, path: str) -> None:
    for token in (None, "not a token"):
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        async with market.http.get(path, headers=headers) as answer:
            assert answer.status == 200
        async with market.http.post(path, headers=headers) as answer:
            assert answer.status == 405
