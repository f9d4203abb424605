"""What every request meets: ids, problems, limits, compression, CORS."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient
from prometheus_client import REGISTRY
from pydantic import Field, ValidationError
from pymongo.errors import AutoReconnect
from redis.exceptions import ConnectionError as RedisConnectionError
from yarl import URL

from server.errors import AppError
from server.settings import Settings
from server.web.compression import accepted_coding
from server.web.fields import Amount, Body, Printable, Query
from server.web.router import Call, Router
from tests.server.web.conftest import Serve

Client = TestClient[web.Request, web.Application]


class Offer(Body):
    amount: Amount
    note: Printable = ""
    parts: list[int] = Field(default_factory=list)


class Wanted(Query):
    size: int = Field(10, ge=1, le=100_000)


FAILURES: dict[str, Callable[[], Exception]] = {
    "app": lambda: AppError("BID_TOO_WEAK", details={"min_next": 500}),
    "limited": lambda: AppError("RATE_LIMITED", details={"retry_after_ms": 2500}),
    "mongodb": lambda: AutoReconnect("db-7.internal:27017: connection refused"),
    "redis": lambda: RedisConnectionError("redis-3.internal refused"),
    "bug": lambda: KeyError("secret_column"),
}


def routes() -> Router:
    router = Router()

    async def echo(call: Call) -> Any:
        return {"amount": call.body.amount, "note": call.body.note}

    async def fail(call: Call) -> Any:
        raise FAILURES[call.path["kind"]]()

    async def show(call: Call) -> Any:
        return {"name": call.path["name"], "user": call.principal.id if call.principal else None}

    async def large(call: Call) -> Any:
        return {"text": "x" * call.query.size}

    async def nothing(call: Call) -> None:
        return None

    async def secret(call: Call) -> Any:
        return {"user": call.user.id, "admin": call.user.admin}

    router.add("POST", "/offers", echo, summary="Offer", tags=["t"], body=Offer, auth="none", status=201)
    router.add("GET", "/fail/{kind}", fail, summary="Fail", tags=["t"], auth="none")
    router.add("GET", "/things/{name}", show, summary="Show", tags=["t"], auth="optional")
    router.add("GET", "/large", large, summary="Large", tags=["t"], auth="none", query=Wanted)
    router.add("DELETE", "/things/{name}", nothing, summary="Delete", tags=["t"])
    router.add("GET", "/secret", secret, summary="Secret", tags=["t"])
    router.add("GET", "/admin", secret, summary="Admin", tags=["t"], admin=True)
    return router


@pytest.fixture
async def client(serve: Serve) -> Client:
    return await serve(routes())


async def problem(response: Any, status: int, code: str) -> dict[str, Any]:
    """The problem of a response, its shape checked."""
    body: dict[str, Any] = await response.json(content_type="application/problem+json")
    assert (response.status, body["code"], body["status"]) == (status, code, status), body
    assert {"type", "title", "status", "detail", "code", "retryable", "request_id"} <= set(body)
    assert body["request_id"] == response.headers["X-Request-Id"]
    return body


async def test_answers_carry_a_request_id_and_security_headers(client: Client) -> None:
    first = await client.get("/api/v1/things/a", headers={"X-Request-Id": "req-12345678"})
    assert first.headers["X-Request-Id"] == "req-12345678"
    assert first.headers["X-Content-Type-Options"] == "nosniff"
    policy = first.headers["Content-Security-Policy"].split("; ")
    assert policy == ["default-src 'none'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"]
    assert first.headers["X-Frame-Options"] == "DENY"
    assert first.headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert "Strict-Transport-Security" not in first.headers
    second = await client.get("/api/v1/things/a", headers={"X-Request-Id": "bad id <script>"})
    third = await client.get("/api/v1/things/a")
    assert len({second.headers["X-Request-Id"], third.headers["X-Request-Id"], "bad id <script>"}) == 3


async def test_unknown_paths_and_methods_are_problems(client: Client) -> None:
    await problem(await client.get("/nowhere"), 404, "NOT_FOUND")
    await problem(await client.get("/api/v1/nowhere"), 404, "NOT_FOUND")
    refused = await client.put("/api/v1/offers", json={})
    await problem(refused, 405, "METHOD_NOT_ALLOWED")
    assert "POST" in refused.headers["Allow"]


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"nope",
        b'{"amount": NaN}',
        b'{"amount": Infinity}',
        b'{"amount": 1e400}',
        b'{"amount": 1, "note": "\\ud800"}',
        b'{"amount": 1, "amount": 2}',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 5000 + b"1" + b"}" * 5000,
    ],
)
async def test_malformed_json_is_400(client: Client, raw: bytes) -> None:
    response = await client.post("/api/v1/offers", data=raw, headers={"Content-Type": "application/json"})
    await problem(response, 400, "MALFORMED_JSON")


@pytest.mark.parametrize(
    ("raw", "loc"),
    [
        (b"{}", ["body", "amount"]),
        (b"", ["body", "amount"]),
        (b"[]", ["body"]),
        (b"null", ["body"]),
        (b'"text"', ["body"]),
        (b"12", ["body"]),
        (b'{"amount": "5"}', ["body", "amount"]),
        (b'{"amount": 5.0}', ["body", "amount"]),
        (b'{"amount": true}', ["body", "amount"]),
        (b'{"amount": -1}', ["body", "amount"]),
        (b'{"amount": 9007199254740992}', ["body", "amount"]),
        (b'{"amount": 123456789012345678901234567890}', ["body", "amount"]),
        (b'{"amount": {"$gt": 0}}', ["body", "amount"]),
        (b'{"amount": 1, "note": "a\\u0000b"}', ["body", "note"]),
        (b'{"amount": 1, "parts": [1, "2"]}', ["body", "parts", 1]),
    ],
)
async def test_wrong_fields_are_422_and_named(client: Client, raw: bytes, loc: list[Any]) -> None:
    response = await client.post("/api/v1/offers", data=raw, headers={"Content-Type": "application/json"})
    body = await problem(response, 422, "VALIDATION_FAILED")
    assert [error["loc"] for error in body["errors"]] == [loc]
    assert all(error["msg"] for error in body["errors"])


async def test_many_mistakes_are_reported_up_to_a_limit(client: Client) -> None:
    response = await client.post("/api/v1/offers", json={"amount": 1, "parts": ["x"] * 5000})
    assert len((await problem(response, 422, "VALIDATION_FAILED"))["errors"]) == 50


async def test_only_json_bodies(client: Client) -> None:
    form = await client.post("/api/v1/offers", data={"amount": "1"})
    await problem(form, 415, "UNSUPPORTED_MEDIA_TYPE")
    latin = await client.post(
        "/api/v1/offers", data=b'{"amount":1}', headers={"Content-Type": "application/json; charset=latin-1"}
    )
    await problem(latin, 415, "UNSUPPORTED_MEDIA_TYPE")
    good = await client.post(
        "/api/v1/offers", data=b'{"amount":1}', headers={"Content-Type": "application/json; charset=UTF-8"}
    )
    assert (good.status, await good.json()) == (201, {"amount": 1, "note": ""})


async def test_large_bodies_are_413_whether_announced_or_chunked(client: Client, settings: Settings) -> None:
    raw = b'{"amount": 1, "note": "' + b"x" * settings.max_body + b'"}'
    json_type = {"Content-Type": "application/json"}
    await problem(await client.post("/api/v1/offers", data=raw, headers=json_type), 413, "TOO_LARGE")

    async def chunks() -> AsyncIterator[bytes]:
        for start in range(0, len(raw), 50_000):
            yield raw[start : start + 50_000]

    await problem(await client.post("/api/v1/offers", data=chunks(), headers=json_type), 413, "TOO_LARGE")
    bomb = {**json_type, "Content-Encoding": "gzip"}
    await problem(await client.post("/api/v1/offers", data=gzip.compress(raw), headers=bomb), 413, "TOO_LARGE")
    assert (await client.post("/api/v1/offers", json={"amount": 3})).status == 201


async def test_failures_never_show_internals(client: Client) -> None:
    weak = await problem(await client.get("/api/v1/fail/app"), 409, "BID_TOO_WEAK")
    assert weak["details"] == {"min_next": 500}
    limited = await client.get("/api/v1/fail/limited")
    assert (await problem(limited, 429, "RATE_LIMITED"))["retryable"] is True
    assert limited.headers["Retry-After"] == "3"
    for store in ("mongodb", "redis"):
        away = await client.get(f"/api/v1/fail/{store}")
        text = await away.text()
        assert (await problem(away, 503, "UNAVAILABLE"))["retryable"] is True
        assert away.headers["Retry-After"] == "1"
        assert "internal:" not in text
        assert "refused" not in text
    bug = await client.get("/api/v1/fail/bug")
    text = await bug.text()
    await problem(bug, 500, "INTERNAL")
    assert "secret_column" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("name", ["a%00b", "%00", "x" * 300, "a%0ab"])
async def test_unusable_path_parameters_are_not_found(client: Client, name: str) -> None:
    response = await client.session.get(URL(f"{client.make_url('/')}api/v1/things/{name}", encoded=True))
    await problem(response, 404, "NOT_FOUND")


@pytest.mark.parametrize("query", ["size=0", "size=x", "size=1&size=2", "size=%00", "size=1e3", "size=" + "9" * 5000])
async def test_bad_query_strings_are_422(client: Client, query: str) -> None:
    url = URL(f"{client.make_url('/')}api/v1/large?{query}", encoded=True)
    body = await problem(await client.session.get(url), 422, "VALIDATION_FAILED")
    assert body["errors"][0]["loc"] == ["query", "size"]


async def test_tokens_are_checked(client: Client, bearer: Callable[..., dict[str, str]], parts: Any) -> None:
    missing = await client.get("/api/v1/secret")
    await problem(missing, 401, "UNAUTHENTICATED")
    assert missing.headers["WWW-Authenticate"].startswith("Bearer")
    for header in ("Bearer", "Bearer ", "Basic YTpi", "Bearer a.b.c", "nonsense"):
        await problem(await client.get("/api/v1/secret", headers={"Authorization": header}), 401, "UNAUTHENTICATED")
        await problem(await client.get("/api/v1/things/a", headers={"Authorization": header}), 401, "UNAUTHENTICATED")
    assert (await (await client.get("/api/v1/secret", headers=bearer("ann"))).json())["user"] == "ann"
    assert (await (await client.get("/api/v1/things/a")).json())["user"] is None
    await problem(await client.get("/api/v1/admin", headers=bearer("ann")), 403, "FORBIDDEN")
    assert (await client.get("/api/v1/admin", headers=bearer("ann", admin=True))).status == 200
    await parts.denylist.deny("s1")
    await problem(await client.get("/api/v1/secret", headers=bearer("ann")), 401, "UNAUTHENTICATED")


async def test_no_content(client: Client, bearer: Callable[..., dict[str, str]]) -> None:
    response = await client.delete("/api/v1/things/a", headers=bearer())
    assert (response.status, await response.read()) == (204, b"")


async def test_compression_when_asked_for(client: Client) -> None:
    async def fetch(size: int, **headers: str) -> tuple[str | None, bytes]:
        url = client.make_url(f"/api/v1/large?size={size}")
        async with ClientSession(auto_decompress=False) as session, session.get(url, headers=headers) as response:
            return response.headers.get("Content-Encoding"), await response.read()

    coding, raw = await fetch(5000, **{"Accept-Encoding": "gzip"})
    assert coding == "gzip"
    assert len(json.loads(gzip.decompress(raw))["text"]) == 5000
    coding, raw = await fetch(90_000, **{"Accept-Encoding": "deflate"})
    assert coding == "deflate"
    assert len(json.loads(zlib.decompress(raw))["text"]) == 90_000
    assert (await fetch(5000, **{"Accept-Encoding": "identity"}))[0] is None
    assert (await fetch(5000, **{"Accept-Encoding": "gzip;q=0"}))[0] is None
    assert (await fetch(5000, **{"Accept-Encoding": "gzip", "X-No-Compression": "1"}))[0] is None
    assert (await fetch(500, **{"Accept-Encoding": "gzip"}))[0] is None


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        *(("gzip, deflate, br", "gzip"), ("gzip;q=0.1, deflate;q=0.9", "deflate"), ("*", "gzip"), ("br", None)),
        *(("", None), ("gzip;q=nonsense", None), ("gzip;q=0, *", "deflate"), ("identity, gzip;q=0.5", None)),
        *(("identity, gzip", "gzip"), ("*;q=0", None), ("GZIP ; Q=1", "gzip")),
        ("identity;q=0.5, gzip;q=0.4, deflate", "deflate"),
    ],
)
def test_accepted_coding(header: str, chosen: str | None) -> None:
    assert accepted_coding(header, ("gzip", "deflate")) == chosen


async def test_head_answers_as_get_without_a_body(client: Client) -> None:
    response = await client.head("/api/v1/large?size=50")
    assert (response.status, await response.read()) == (200, b"")


async def test_metrics_count_requests_by_route(client: Client) -> None:
    labels = {"method": "GET", "route": "/api/v1/things/{name}", "status_code": "200"}
    before = REGISTRY.get_sample_value("http_request_duration_seconds_count", labels) or 0.0
    await client.get("/api/v1/things/a")
    await client.get("/api/v1/things/b")
    assert REGISTRY.get_sample_value("http_request_duration_seconds_count", labels) == before + 2
    text = await (await client.get("/metrics")).text()
    assert 'route="/api/v1/things/{name}"' in text
    assert "/things/a" not in text


@pytest.mark.parametrize("path", ["/nowhere", "/health/live", "/metrics", "/api/openapi.json", "/api/v1/secret"])
async def test_whatever_is_answered_has_a_strict_policy(client: Client, path: str) -> None:
    answer = await client.get(path)
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; base-uri 'none'")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_over_https_browsers_are_told_to_stay_there(serve: Serve, parts: Any) -> None:
    parts.settings = parts.settings.model_copy(update={"public_url": "https://market.example"})
    answer = await (await serve(routes())).get("/health/live")
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


@pytest.mark.parametrize(
    "origin", ["market.example", "https://", "https://a.example/path", "null", "ftp://a.example", ""]
)
def test_origins_in_settings_that_could_never_match_are_refused(origin: str) -> None:
    with pytest.raises(ValidationError):
        Settings(cors_origins=(origin,))


def test_origins_in_settings_are_taken_as_browsers_send_them() -> None:
    given = ("https://Market.example/", "http://a.example:80", "https://[::1]:8443", "*")
    assert Settings(cors_origins=given).cors_origins == (
        "https://market.example",
        "http://a.example",
        "https://[::1]:8443",
        "*",
    )


async def test_browsers_of_allowed_origins_may_call(serve: Serve, parts: Any) -> None:
    parts.settings = parts.settings.model_copy(update={"cors_origins": ("https://market.example",)})
    client = await serve(routes())
    ask = {"Origin": "https://market.example", "Access-Control-Request-Method": "POST"}
    preflight = await client.options("/api/v1/offers", headers=ask)
    assert preflight.status == 204
    assert preflight.headers["Access-Control-Allow-Origin"] == "https://market.example"
    assert "Idempotency-Key" in preflight.headers["Access-Control-Allow-Headers"]
    failed = await client.get("/nowhere", headers={"Origin": "https://market.example"})
    assert failed.headers["Access-Control-Allow-Origin"] == "https://market.example"
    assert "Origin" in failed.headers["Vary"]
    stranger = await client.options("/api/v1/offers", headers={**ask, "Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in stranger.headers
    assert "Access-Control-Allow-Methods" not in stranger.headers
