"""A running market under attack: processes, people, what it knows before and after."""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import aiohttp
import jwt
import orjson
from multidict import CIMultiDictProxy
from pymongo.asynchronous.database import AsyncDatabase
from yarl import URL

from server.clock import to_rfc3339
from server.dev.child import Child
from server.errors import CODES
from tests.waiting import until

PASSWORD: Final = "correct horse battery"
PROBLEM: Final = "application/problem+json"

_INTERNAL: Final = re.compile(
    r"Traceback|File \"|/server/|/handlers/|\.py\b|pymongo|pydantic|asyncio|aiohttp|instance of|NoneType|\$set|127\.0\.0\.1:"
)
"""What no client may be told."""

_LOUD: Final = re.compile(r'"level": ?"(error|critical)"|Traceback|never retrieved|was never awaited')

_DERIVED: Final = {"view_count": 0, "auction": 0, "ends_at": 0, "status": 0, "unannounced": 0}
"""Fields of jobs that follow the auctions' events, sometime."""

_FAILURES: Final = {"failing_since": 0, "disabled_at": 0, "status": 0}
"""Fields of webhooks that follow their deliveries."""

_EXACT: Final = ("bans", "blocks", "idempotency", "memberships", "reports", "users")
"""Collections that change only by what people do."""

_BY_PEOPLE: Final[Mapping[str, Mapping[str, Any]]] = {"events": {"stream": {"$not": re.compile("^user:")}}}
"""Collections of which that is true of these documents: inboxes are written in the background."""

_IN_PART: Final[Mapping[str, Mapping[str, int]]] = {
    "jobs": _DERIVED,
    "mails": {"_id": 1},
    "sessions": {"unannounced": 0},
    "webhooks": _FAILURES,
}
"""Collections of which that is true of these fields."""


@dataclass(frozen=True)
class Person:
    """Somebody with an account, logged in."""

    id: str
    email: str
    token: str
    refresh_token: str


@dataclass(frozen=True)
class Reply:
    """What came back."""

    status: int
    headers: CIMultiDictProxy[str]
    raw: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return orjson.loads(self.raw)

    def refused(self, code: str, *, status: int | None = None) -> dict[str, Any]:
        """The problem, which must be this one, whole and in the form of contract.md."""
        shown = (self.status, self.headers.get("Content-Type"), self.raw[:500])
        assert self.headers.get("Content-Type", "").startswith(PROBLEM), shown
        problem: dict[str, Any] = self.json
        assert problem["code"] == code, shown
        assert self.status == problem["status"] == (status or CODES[code].status), shown
        assert problem["retryable"] is CODES[code].retryable, shown
        assert problem["request_id"] == self.headers["X-Request-Id"], shown
        assert {"type", "title", "detail"} <= set(problem), shown
        assert not _INTERNAL.search(self.raw.decode()), shown
        if code == "VALIDATION_FAILED" and "errors" in problem:
            assert all(error["msg"] and isinstance(error["loc"], list) for error in problem["errors"]), shown
        return problem


@dataclass
class Town:
    """Two web instances and a worker.

    Attributes:
        urls: of the web instances. logs: of all processes.
        secret: the key of access tokens.
    """

    urls: list[str]
    children: dict[str, Child]
    http: aiohttp.ClientSession
    db: AsyncDatabase[dict[str, Any]]
    secret: str
    _numbers: count[int] = field(default_factory=count)
    _read: dict[Path, int] = field(default_factory=dict)

    # -- asking ---------------------------------------------------------------------------------------------------------

    async def call(
        self,
        method: str,
        path: str,
        who: Person | str | None = None,
        *,
        json: Any = None,
        data: Any = None,
        headers: Mapping[str, str] | None = None,
        key: str | None = None,
        at: int = 0,
    ) -> Reply:
        """One request. `path` is below /api/v1 and goes out as it is; `who` is a person or a raw token; `at`: which instance."""
        sent = dict(headers or {})
        if who is not None:
            sent["Authorization"] = "Bearer " + (who.token if isinstance(who, Person) else who)
        if key is not None:
            sent["Idempotency-Key"] = key
        if json is not None:
            data = orjson.dumps(json)
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        url = URL(f"{self.urls[at]}/api/v1{path}", encoded=True)
        async with self.http.request(method, url, data=data, headers=sent) as answer:
            return Reply(answer.status, answer.headers, await answer.read())

    async def raw(self, *pieces: bytes, at: int = 0) -> bytes:
        """What comes back for these bytes until the server closes the connection."""
        url = URL(self.urls[at])
        reader, writer = await asyncio.open_connection(url.host, url.port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def drop(self, sent: bytes, at: int = 0) -> None:
        """Send something and hang up at once."""
        url = URL(self.urls[at])
        _, writer = await asyncio.open_connection(url.host, url.port)
        writer.write(sent)
        with suppress(ConnectionError):
            await writer.drain()
        writer.transport.abort()

    def key(self) -> str:
        """An Idempotency-Key that was not used before."""
        return f"key-{next(self._numbers)}"

    # -- people and jobs ------------------------------------------------------------------------------------------------

    async def person(self, role: str, *, admin: bool = False, moderator: bool = False) -> Person:
        """A new account."""
        email = f"person{next(self._numbers)}.private@example.com"
        body = {"email": email, "password": PASSWORD, "name": f"{role.title()} Somebody", "role": role}
        reply = await self.call("POST", "/auth/register", json=body)
        assert reply.status == 201, reply.raw
        if admin or moderator:
            await self.db["users"].update_one({"email": email}, {"$set": {"admin": admin, "moderator": moderator}})
        return await self.login(email)

    async def login(self, email: str) -> Person:
        """Another session of an account."""
        reply = await self.call("POST", "/auth/login", json={"email": email, "password": PASSWORD})
        assert reply.status == 200, reply.raw
        answer = reply.json
        return Person(answer["user"]["id"], email, answer["access_token"], answer["refresh_token"])

    def in_seconds(self, seconds: float, *, now: float | None = None) -> str:
        """A time so many seconds from now; `now` for several that must fit each other."""
        return to_rfc3339(int(((time.time() if now is None else now) + seconds) * 1000))

    def terms(self, **changes: Any) -> dict[str, Any]:
        """Good terms of an auction that ends tomorrow; None as a change leaves a field out."""
        whole = {
            "format": "reverse",
            "start_amount": 100_000,
            "reserve_amount": 70_007,
            "increments": [{"from": 0, "step": 100}],
            "end_at": self.in_seconds(86_400),
        }
        return {name: value for name, value in (whole | changes).items() if value is not None}

    def job(self, **changes: Any) -> dict[str, Any]:
        """A good body of `POST /jobs`; None as a change leaves a field out."""
        whole = {
            "title": "Restore a gondola",
            "description": "Twelve metres of oak and larch.",
            "category": "boats",
            "skills": ["carpentry"],
            "budget": {"min": 10_000, "max": 100_000, "currency": "EUR"},
            "location": {"lat": 45.44, "lng": 12.33, "address": "Venezia"},
            "auction": self.terms(),
        }
        return {name: value for name, value in (whole | changes).items() if value is not None}

    async def post(self, client: Person, **changes: Any) -> dict[str, Any]:
        """A posted job."""
        reply = await self.call("POST", "/jobs", client, json=self.job(**changes))
        assert reply.status == 201, reply.raw
        posted: dict[str, Any] = reply.json
        return posted

    async def bid(self, bidder: Person, auction: str, amount: int, **fields: Any) -> dict[str, Any]:
        """A bid that is accepted."""
        body = {"amount": amount, **fields}
        reply = await self.call("POST", f"/auctions/{auction}/bids", bidder, json=body, key=self.key())
        assert reply.status == 201, reply.raw
        placed: dict[str, Any] = reply.json
        return placed

    def token(self, secret: str | None = None, algorithm: str = "HS256", **claims: Any) -> str:
        """A token with these claims, well signed unless told otherwise; None leaves a claim out."""
        now = int(time.time())
        whole = {
            "sub": "x",
            "sid": "y",
            "jti": "z",
            "role": "both",
            "adm": False,
            "iat": now,
            "exp": now + 600,
            **claims,
        }
        kept = {name: value for name, value in whole.items() if value is not None}
        return jwt.encode(kept, self.secret if secret is None else secret, algorithm=algorithm)

    # -- harm -----------------------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def unchanged(self) -> AsyncIterator[None]:
        """Fails if anything that people have done is there, gone or different afterwards."""
        before = await self._known()
        yield
        after = await self._known()
        assert [name for name in after if after[name] != before[name]] == []

    async def _known(self) -> dict[str, Any]:
        hashes = await self.db.command("dbHash", collections=list(_EXACT))
        parts = {name: await self._digest(name, {}, fields) for name, fields in _IN_PART.items()}
        for name, wanted in _BY_PEOPLE.items():
            parts[name] = await self._digest(name, wanted, None)
        return {**hashes["collections"], **parts}

    async def _digest(self, collection: str, wanted: Mapping[str, Any], fields: Mapping[str, int] | None) -> str:
        digest = hashlib.sha256()
        async for batch in self.db[collection].find_raw_batches(wanted, fields).sort("_id"):
            digest.update(batch)
        return digest.hexdigest()

    async def unharmed(self) -> None:
        """Fails unless all processes run, are ready, and have logged no failure of their own since the last look."""
        for name, child in self.children.items():
            assert child.running, f"{name} has ended:\n{child.last_lines(30)}"
        for url in self.urls:

            async def ready(url: str = url) -> bool:
                async with self.http.get(f"{url}/health/ready") as answer:
                    return answer.status == 200

            await until(ready)
        loud = [
            (name, line)
            for name, child in self.children.items()
            for line in self._news(child.log)
            if _LOUD.search(line)
        ]
        assert not loud, loud[:3]

    def _news(self, log: Path) -> list[str]:
        with log.open("rb") as stream:
            stream.seek(self._read.get(log, 0))
            news = stream.read()
            self._read[log] = stream.tell()
        return news.decode(errors="replace").splitlines()
