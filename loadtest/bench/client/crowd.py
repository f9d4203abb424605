"""Many connections: tokens for them, opening them a few at a time, closing them."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from typing import Final, TypeVar

import jwt

from loadtest.bench.client.ledger import Ledger
from loadtest.bench.client.link import Link

_AT_ONCE: Final = 64
"""Connections being opened: enough to keep a server busy, few enough that none waits long."""

_LIFE_S: Final = 86_400

T = TypeVar("T")


def tokens(secret: str) -> Iterator[str]:
    """Access tokens as a login issues them, each for a user and a login of its own."""
    prefix = secrets.token_hex(6)
    for number in itertools.count():
        now = int(time.time())
        user, login = f"{prefix}u{number:08}", f"{prefix}s{number:08}"
        claims = {"sub": user, "sid": login, "jti": f"{prefix}j{number:08}", "role": "freelancer", "adm": False}
        yield jwt.encode({**claims, "iat": now, "exp": now + _LIFE_S}, secret, algorithm="HS256")


async def each(items: Iterable[T], work: Callable[[T], Awaitable[None]], at_once: int = _AT_ONCE) -> None:
    """Do something with all of them, `at_once` at a time; the first failure ends it."""
    waiting = iter(items)

    async def worker() -> None:
        for item in waiting:
            await work(item)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())


async def connected(ledger: Ledger, urls: Sequence[str], secret: str, count: int) -> list[Link]:
    """So many links, spread evenly over servers. Raises Lost."""
    issued = tokens(secret)
    links = [Link(ledger, urls[number % len(urls)], next(issued)) for number in range(count)]
    await each(links, lambda link: link.open())
    return links


def close(links: Iterable[Link]) -> None:
    """Drop them all."""
    for link in links:
        link.close()
