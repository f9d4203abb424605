"""Accounts of those who take part."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

import aiohttp

from server.dev.api import Api

_PASSWORD = "correct horse battery"


@dataclass(frozen=True)
class Account:
    """Somebody signed in at the first instance."""

    api: Api
    user: str
    email: str

    @property
    def token(self) -> str:
        """The access token."""
        assert self.api.token is not None
        return self.api.token


async def registered(http: aiohttp.ClientSession, url: str, role: str) -> Account:
    """A new account."""
    email = f"{secrets.token_hex(8)}@example.com"
    api = Api(http, url, email=email, password=_PASSWORD)
    await api.register("Somebody", role)
    return Account(api, (await api.get("/users/me"))["id"], email)
