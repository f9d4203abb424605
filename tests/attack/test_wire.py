"""What is hardly HTTP, or not at all, and what headers may hold."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from server.errors import CODES
from tests.attack.town import PROBLEM, Person, Town

_END = b"Host: x\r\nConnection: close\r\n\r\n"
_LOGIN = b"POST /api/v1/auth/login HTTP/1.1\r\n"

NOT_HTTP = {
    "nothing but noise": b"\x00\x01\x02\x03\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "unknown version": b"GET /api/v1/jobs HTTP/9.9\r\n" + _END,
    "unknown method": b"FETCH /api/v1/jobs HTTP/1.1\r\n" + _END,
    "no host": b"GET /api/v1/jobs HTTP/1.1\r\nConnection: close\r\n\r\n",
    "NUL in the path": b"GET /api/v1/jobs/a\x00b HTTP/1.1\r\n" + _END,
    "raw byte in the path": b"GET /api/v1/jobs/\xff HTTP/1.1\r\n" + _END,
    "raw byte in the query": b"GET /api/v1/jobs?q=\xff HTTP/1.1\r\n" + _END,
    "relative path": b"GET api/v1/jobs HTTP/1.1\r\n" + _END,
    "star": b"GET * HTTP/1.1\r\n" + _END,
    "impossible host": b"GET http://[/api/v1/jobs HTTP/1.1\r\n" + _END,
    "impossible port": b"GET http://x:99999999/api/v1/jobs HTTP/1.1\r\n" + _END,
    "endless path": b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + _END,
    "endless header": b"GET /api/v1/jobs HTTP/1.1\r\nX-Long: " + b"a" * 20_000 + b"\r\n" + _END,
    "too many headers": b"GET /api/v1/jobs HTTP/1.1\r\n" + b"X-Many: a\r\n" * 500 + _END,
    "NUL in a header": b"GET /api/v1/jobs HTTP/1.1\r\nX-Nul: \x00\r\n" + _END,
    "two lengths": _LOGIN + b"Content-Length: 2\r\nContent-Length: 3\r\n" + _END + b"{}",
    "length and chunks": _LOGIN + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n" + _END + b"0\r\n\r\n",
    "negative length": _LOGIN + b"Content-Length: -2\r\n" + _END + b"{}",
    "absurd length": _LOGIN + b"Content-Length: " + b"9" * 40 + b"\r\n" + _END + b"{}",
    "bad chunk": _LOGIN + b"Transfer-Encoding: chunked\r\n" + _END + b"zz\r\n{}\r\n0\r\n\r\n",
    "no gzip": _LOGIN + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n" + _END + b"{}",
    "no deflate": _LOGIN + b"Content-Encoding: deflate\r\nContent-Length: 2\r\n" + _END + b"{}",
    "unknown expectation": _LOGIN + b"Expect: miracles\r\nContent-Length: 2\r\n" + _END + b"{}",
}


def parsed(answer: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers by lower-case name, and everything after them."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return int(first.split()[1]), headers, rest


def refused(answer: bytes, code: str = "BAD_REQUEST") -> None:
    """The answer is that problem, and says nothing about us nor repeats what was sent."""
    status, headers, body = parsed(answer)
    assert (status, headers["content-type"]) == (CODES[code].status, PROBLEM), answer[:500]
    problem = orjson.loads(body)
    assert (problem["code"], problem["status"]) == (code, status)
    assert problem["request_id"] == headers["x-request-id"]
    assert problem["detail"] == CODES[code].title or code == "BAD_REQUEST"
    assert b"aaaa" not in answer
    assert b"b'" not in body


@pytest.mark.parametrize("sent", NOT_HTTP.values(), ids=NOT_HTTP.keys())
async def test_what_is_not_http_is_a_problem_of_the_client(town: Town, sent: bytes) -> None:
    async with town.unchanged():
        refused(await town.raw(sent))


async def test_half_a_request_harms_nobody(town: Town) -> None:
    """Connections dropped within the first line, a header, a body, a chunk."""
    whole = _LOGIN + b"Host: x\r\nContent-Length: 50\r\n\r\n" + b"{" * 20
    chunked = _LOGIN + b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{}"
    for length in range(1, len(whole), 7):
        await town.drop(whole[:length])
    for length in range(60, len(chunked)):
        await town.drop(chunked[:length])


async def test_half_an_answer_harms_nobody(town: Town, client: Person, ann: Person) -> None:
    """Readers that hang up while they are answered: lists, logs, long polls, event sources."""
    auction = (await town.post(client, auction=town.terms(increments=[{"from": 0, "step": 1}])))["auction"]["id"]
    await town.bid(ann, auction, 90_000)
    stream = f"/api/v1/streams/auction:{auction}/events"
    heads = [
        f"GET /api/v1/auctions/{auction}/log HTTP/1.1\r\n",
        f"GET {stream} HTTP/1.1\r\nAccept: text/event-stream\r\n",
        f"GET {stream}?after=2&wait=20 HTTP/1.1\r\n",
        "GET /api/v1/jobs?limit=100 HTTP/1.1\r\n",
        "GET /api/openapi.json HTTP/1.1\r\n",
    ]
    for head in heads * 10:
        await town.drop(head.encode() + b"Host: x\r\n\r\n")
        await town.drop(head.encode() * 2 + b"Host: x\r\n\r\n")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_head_has_no_body(town: Town, client: Person, ann: Person, admin: Person, method: str) -> None:
    """A body behind HEAD would be taken for the next answer on the same connection."""
    job = await town.post(client)
    auction = job["auction"]["id"]
    await town.bid(ann, auction, 90_000)
    paths = [
        f"/api/v1/jobs/{job['id']}",
        f"/api/v1/jobs/{'0' * 300}",
        f"/api/v1/auctions/{auction}/log",
        f"/api/v1/auctions/{auction}/export",
        f"/api/v1/streams/auction:{auction}",
        f"/api/v1/streams/auction:{auction}/events",
        "/api/v1/jobs",
        "/api/openapi.json",
        "/health/ready",
    ]
    for path in paths:
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {admin.token}\r\nConnection: close\r\n\r\n"
        )
        _, _, body = parsed(await town.raw(head.encode()))
        assert bool(body) is (method == "GET"), path


HEADERS: dict[str, tuple[bytes, int]] = {
    "User-Agent": (b"\xff\xfe", 200),
    "X-Request-Id": (b"aaaaaaaa\xff", 200),
    "Origin": (b"http://\xff", 200),
    "Accept": (b"\xff", 200),
    "Accept-Encoding": (b"gzip;q=\xff, br;q=nan", 200),
    "Cookie": (b"\xff=\xfe", 200),
    "Content-Type": (b";;;\xff=", 200),
    "Range": (b"bytes=0-\xff", 200),
    "If-None-Match": (b"\xff", 200),
    "X-Forwarded-For": (b"\xff", 200),
    "Authorization": (b"Bearer \xff\xfe", 401),
}


@pytest.mark.parametrize("name", HEADERS)
async def test_headers_may_hold_any_bytes(town: Town, client: Person, name: str) -> None:
    value, expected = HEADERS[name]
    job = await town.post(client)
    for path in (f"/api/v1/jobs/{job['id']}", "/api/v1/jobs", f"/api/v1/auctions/{job['auction']['id']}"):
        sent = b"GET %b HTTP/1.1\r\n%b: %b\r\n" % (path.encode(), name.encode(), value) + _END
        answer = await town.raw(sent)
        assert parsed(answer)[0] == expected, answer[:500]


async def test_registration_from_a_device_of_any_bytes(town: Town) -> None:
    body = orjson.dumps({"email": "bytes@example.com", "password": "correct horse", "name": "B", "role": "both"})
    head = f"POST /api/v1/auth/register HTTP/1.1\r\nContent-Length: {len(body)}\r\nUser-Agent: ".encode()
    status, _, rest = parsed(await town.raw(head + b"a\xff\xed\xa0\x80b\r\n" + _END + body))
    assert status == 201, rest


async def test_unknown_methods_of_known_paths(town: Town, client: Person) -> None:
    job: dict[str, Any] = await town.post(client)
    async with town.unchanged():
        for method in ("PUT", "TRACE", "DELETE", "PATCH", "POST"):
            (await town.call(method, f"/auctions/{job['auction']['id']}", client)).refused("METHOD_NOT_ALLOWED")
