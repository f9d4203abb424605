"""Bodies that no route may accept, sent to every route that takes one, with a token that is good."""

from __future__ import annotations

import asyncio
import gzip
import time
import zlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import orjson
import psutil
import pytest

from tests.attack.town import Person, Town

_DEEP: Final = 100_000
_LIMIT: Final = 1_000_000

MALFORMED: Final = {
    "cut": b'{"amount": 1',
    "word": b"nope",
    "NaN": b'{"amount": NaN}',
    "infinity": b'{"amount": -Infinity}',
    "1e400": b'{"amount": 1e400}',
    "lone surrogate": b'{"title": "\\ud800", "reason": "\\udfff"}',
    "lone surrogate as a name": b'{"\\ud800": 1}',
    "key twice": b'{"amount": 1, "amount": 2}',
    "key twice, nested": b'{"auction": {"format": "sealed", "format": "reverse"}}',
    "not UTF-8": b'{"title": "\xff\xfe"}',
    "UTF-16": '{"title": "a"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "raw NUL": b'{"title": "a\x00b"}',
    "two values": b"{}{}",
    "comment": b'{"amount": 1 /* one */}',
    "single quotes": b"{'amount': 1}",
    "deep list": b"[" * _DEEP,
    "deep object": b'{"a":' * _DEEP + b"1" + b"}" * _DEEP,
    "deep value": b'{"title": ' + b"[" * 5_000 + b"]" * 5_000 + b"}",
}

NO_OBJECT: Final = {
    "list": b"[]",
    "list of objects": b'[{"amount": 1}]',
    "text": b'"{}"',
    "number": b"12",
    "huge number": b"9" * 300,
    "null": b"null",
    "true": b"true",
}

MEDIA: Final = (
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/xml",
    "application/json; charset=latin-1",
    "application/jsonx",
    "*/*",
    "; charset=utf-8",
)

HUGE: Final = b'{"about": "' + b"x" * _LIMIT + b'"}'


@pytest.fixture(scope="module")
async def doors(
    town: Town, client: Person, ann: Person, admin: Person
) -> list[tuple[str, str, Person | None, list[str]]]:
    """Every route that takes a body: method, path of something that exists, who may, and the names of its required fields."""
    job = await town.post(client)
    placed = await town.bid(ann, job["auction"]["id"], 90_000)
    async with town.http.get(f"{town.urls[0]}/api/openapi.json") as answer:
        document = orjson.loads(await answer.read())
    found = []
    for template, operations in document["paths"].items():
        for method, operation in operations.items():
            if "requestBody" in operation:
                path = template.removeprefix("/api/v1").replace("{seq}", str(placed["seq"]))
                path = path.replace("{id}", job["id"] if "/jobs/" in path else job["auction"]["id"])
                reference = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"]
                schema = document["components"]["schemas"][reference.rpartition("/")[2]]
                who = admin if path.endswith(("/pause", "/resume")) else client
                if path.endswith(("/bids", "/retract", "/reconfirm", "/accept", "/decline")):
                    who = ann
                anybody = not operation["security"]
                # of a required truth value, one of the wrong values would be a right one
                required = [
                    name for name in schema.get("required", []) if schema["properties"][name].get("type") != "boolean"
                ]
                found.append((method.upper(), path, None if anybody else who, required))
    assert len(found) > 15
    return found


Doors = list[tuple[str, str, Person | None, list[str]]]


@pytest.mark.parametrize("raw", MALFORMED.values(), ids=MALFORMED.keys())
async def test_malformed_json(town: Town, doors: Doors, raw: bytes) -> None:
    async with town.unchanged():
        for method, path, who, _ in doors:
            (await town.call(method, path, who, data=raw, key=town.key())).refused("MALFORMED_JSON")


@pytest.mark.parametrize("raw", NO_OBJECT.values(), ids=NO_OBJECT.keys())
async def test_json_that_is_no_object(town: Town, doors: Doors, raw: bytes) -> None:
    async with town.unchanged():
        for method, path, who, _ in doors:
            reply = await town.call(method, path, who, data=raw, key=town.key())
            assert reply.refused("VALIDATION_FAILED")["errors"][0]["loc"] == ["body"], path


@pytest.mark.parametrize("value", [{"$gt": ""}, ["$gt"], {"$where": "1"}, [], {}, True, 1e300, None], ids=str)
async def test_required_fields_of_a_wrong_type(town: Town, doors: Doors, value: Any) -> None:
    """Operators of the database among them: they are values like others, and no text, number or time."""
    async with town.unchanged():
        for method, path, who, required in doors:
            if required:
                body = dict.fromkeys(required, value)
                problem = (await town.call(method, path, who, json=body, key=town.key())).refused("VALIDATION_FAILED")
                assert {error["loc"][1] for error in problem["errors"]} == set(required), (path, problem)


@pytest.mark.parametrize("media", MEDIA)
async def test_other_media_types(town: Town, doors: Doors, media: str) -> None:
    async with town.unchanged():
        for method, path, who, _ in doors:
            reply = await town.call(method, path, who, data=b"{}", key=town.key(), headers={"Content-Type": media})
            reply.refused("UNSUPPORTED_MEDIA_TYPE")


async def _pieces(raw: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(raw), 60_000):
        yield raw[start : start + 60_000]


async def test_bodies_beyond_the_limit(town: Town, doors: Doors) -> None:
    async with town.unchanged():
        for method, path, who, _ in doors:
            (await town.call(method, path, who, data=HUGE, key=town.key())).refused("TOO_LARGE")
            (await town.call(method, path, who, data=_pieces(HUGE), key=town.key())).refused("TOO_LARGE")


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """A hundred megabytes in a hundred kilobytes."""
    return gzip.compress(b'{"about": "' + b"x" * (100 * _LIMIT) + b'"}', 1)


async def test_compressed_bodies_beyond_the_limit(town: Town, doors: Doors, bomb: bytes) -> None:
    async with town.unchanged():
        for method, path, who, _ in doors:
            headers = {"Content-Encoding": "gzip"}
            (await town.call(method, path, who, data=bomb, key=town.key(), headers=headers)).refused("TOO_LARGE")


async def test_a_bomb_is_not_unpacked(town: Town, bomb: bytes) -> None:
    """Twenty of them cost the process less than unpacking a few would."""
    process = psutil.Process(town.children["a"].pid)
    began = process.cpu_times()
    for _ in range(20):
        headers = {"Content-Encoding": "gzip"}
        (await town.call("POST", "/auth/login", data=bomb, headers=headers)).refused("TOO_LARGE")
    ended = process.cpu_times()
    spent = ended.user + ended.system - began.user - began.system
    unpacking = _cpu_s(lambda: gzip.decompress(bomb))
    assert spent < 10 * unpacking, (spent, unpacking)


def _cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


CODINGS: Final = {
    "no gzip": ("gzip", b"{}", "BAD_REQUEST"),
    "cut gzip": ("gzip", gzip.compress(b'{"email": "a", "password": "b"}')[:-9], "BAD_REQUEST"),
    "gzip and more": ("gzip", gzip.compress(b"{}") + b"{}", "BAD_REQUEST"),
    "no deflate": ("deflate", b"{}", "BAD_REQUEST"),
    "brotli": ("br", b"{}", "UNSUPPORTED_MEDIA_TYPE"),
    "twice": ("gzip, gzip", gzip.compress(gzip.compress(b"{}")), "UNSUPPORTED_MEDIA_TYPE"),
    "unknown": ("rot13", b"{}", "UNSUPPORTED_MEDIA_TYPE"),
    "JSON that is cut": ("gzip", gzip.compress(b"{"), "MALFORMED_JSON"),
    "no fields": ("gzip", gzip.compress(b"{}"), "VALIDATION_FAILED"),
    "wrong login": ("deflate", zlib.compress(b'{"email": "a", "password": "b"}'), "UNAUTHENTICATED"),
    "wrong login in the clear": ("identity", b'{"email": "a", "password": "b"}', "UNAUTHENTICATED"),
}


@pytest.mark.parametrize("name", CODINGS)
async def test_content_codings(town: Town, name: str) -> None:
    coding, raw, code = CODINGS[name]
    (await town.call("POST", "/auth/login", data=raw, headers={"Content-Encoding": coding})).refused(code)


async def test_announced_bodies_are_not_waited_for(town: Town, client: Person) -> None:
    """A length beyond the limit is refused at once, also where no body is taken."""
    head = b"POST /api/v1/%b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %b\r\nContent-Length: 999999999\r\n\r\n{"
    doors = (b"jobs", b"auth/logout", b"auth/login")
    answers = await asyncio.gather(*[town.raw(head % (door, client.token.encode())) for door in doors])
    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 413"] * 3


async def test_bodies_where_none_is_taken(town: Town, client: Person) -> None:
    """A GET with a body is a GET."""
    for raw in (b"{}", b"\xff" * 1000, b"[" * 10_000):
        reply = await town.call("GET", "/users/me", client, data=raw)
        assert (reply.status, reply.json["id"]) == (200, client.id)
