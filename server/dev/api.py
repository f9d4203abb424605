"""A small client of the public REST interface, for the demo data and the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

import aiohttp
import orjson

_TRIES: Final = 8


class ApiProblem(Exception):
    """A call was answered with a problem, or not at all."""

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.details = details or {}


class Api:
    """Calls of one account, or anonymous ones; signs in again when the access token has expired.

    Args:
        session: shared by many accounts.
        base: where an instance is, such as `http://127.0.0.1:8080`.
        email, password: who signs in; None stays anonymous.
    """

    def __init__(
        self, session: aiohttp.ClientSession, base: str, *, email: str | None = None, password: str | None = None
    ) -> None:
        self.base = base
        self.token: str | None = None
        self._session = session
        self._credentials = {"email": email, "password": password} if email else {}

    async def register(self, name: str, role: str) -> None:
        """Make the account, or log in if it exists. Raises ApiProblem."""
        try:
            answer = await self._retried(
                "POST", "/auth/register", body={**self._credentials, "name": name, "role": role}
            )
            self.token = answer["access_token"]
        except ApiProblem as problem:
            if problem.code != "EMAIL_TAKEN":
                raise
            await self.sign_in()

    async def sign_in(self) -> dict[str, Any]:
        """Log in; returns the user. Raises ApiProblem."""
        answer = await self._retried("POST", "/auth/login", body=self._credentials)
        self.token = answer["access_token"]
        return dict(answer["user"])

    async def get(self, path: str, **query: str | int) -> Any:
        """`GET /api/v1<path>`, decoded. Raises ApiProblem."""
        return await self._call("GET", path, query=query)

    async def post(self, path: str, body: Mapping[str, Any] | None = None, *, key: str | None = None) -> Any:
        """`POST /api/v1<path>`, with an Idempotency-Key if given; decoded, None for 204. Raises ApiProblem."""
        return await self._call("POST", path, body=body or {}, key=key)

    async def patch(self, path: str, body: Mapping[str, Any]) -> Any:
        """`PATCH /api/v1<path>`, decoded. Raises ApiProblem."""
        return await self._call("PATCH", path, body=body)

    async def _call(self, method: str, path: str, **request: Any) -> Any:
        if self._credentials and self.token is None:
            await self.sign_in()
        try:
            return await self._retried(method, path, **request)
        except ApiProblem as problem:
            if problem.code != "UNAUTHENTICATED" or not self._credentials:
                raise
        await self.sign_in()
        return await self._retried(method, path, **request)

    async def _retried(self, method: str, path: str, **request: Any) -> Any:
        """Try again what the server says may help; every mutation here can be repeated safely."""
        for attempt in range(_TRIES):
            try:
                return await self._once(method, path, **request)
            except _Later as later:
                last = later
            await asyncio.sleep(last.after_s if last.after_s is not None else min(0.1 * 2**attempt, 3.0))
        raise ApiProblem("UNAVAILABLE", f"{method} {path}: {last}")

    async def _once(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        key: str | None = None,
    ) -> Any:
        headers = {"Content-Type": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if key:
            headers["Idempotency-Key"] = key
        data = None if body is None else orjson.dumps(body)
        try:
            async with self._session.request(
                method, f"{self.base}/api/v1{path}", params=query, data=data, headers=headers
            ) as answer:
                content = await answer.read()
                status, after = answer.status, answer.headers.get("Retry-After", "")
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _Later(str(error) or type(error).__name__) from None
        result = _decoded(content)
        if status < 400:
            return result
        problem = result if isinstance(result, dict) else {}
        if problem.get("retryable"):
            raise _Later(problem.get("detail", ""), float(after) if after.isdecimal() else None)
        reason = f"{problem.get('detail') or problem.get('title') or status} {problem.get('errors') or ''}".rstrip()
        raise ApiProblem(str(problem.get("code", status)), f"{method} {path}: {reason}", problem.get("details"))


class _Later(Exception):
    """The same call may succeed later; after `after_s` seconds if the server said so."""

    def __init__(self, message: str, after_s: float | None = None) -> None:
        super().__init__(message)
        self.after_s = after_s


def _decoded(content: bytes) -> Any:
    try:
        return orjson.loads(content) if content else None
    except orjson.JSONDecodeError:
        return None
