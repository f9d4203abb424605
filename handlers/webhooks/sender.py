"""One HTTP request to a receiver whom nobody vouches for.

The address is checked when the socket to it is made: whatever a name meant before, and however a number was written, it is this
very address that is connected to. Redirects are not followed, proxies and cookies not used, and of an answer's body little is read.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from handlers.webhooks import metrics
from handlers.webhooks.addresses import is_public
from handlers.webhooks.targets import Reach, normal_url

_MOST_READ: Final = 4_096
"""Bytes of an answer's body. They mean nothing, but a receiver may take it ill when nobody hears it out."""

_READ_S: Final = 1.0
_AGENT: Final = "Rialto-Webhooks/1"
_SUCCESS: Final = range(200, 300)
_REDIRECTS: Final = range(300, 400)

_LOOKUPS_PER_PLACE: Final = 2
"""Threads of the resolver. A lookup can't be cancelled and may outlast its try; a lookup that hangs must not hold up the others'."""


class _AddressRefused(OSError):
    """Not an address that webhooks may reach."""

    def __init__(self) -> None:
        super().__init__("the address is not allowed")


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a try ended.

    Attributes:
        error: None when it was delivered; `status` for an answer that is not 2xx, `redirect`, `timeout`, `unreachable`,
            `address_refused`, `tls`, `invalid_answer`, or `url_refused` when the settings no longer allow its URL.
        status: of the answer, if there was one.
        duration_ms: of the try.
    """

    error: str | None
    status: int | None
    duration_ms: int


class Sender:
    """Posts to receivers. Must be opened and closed in a running loop: `async with`.

    Args:
        reach: what may be reached. timeout_s: for one try, from the lookup to the head of the answer. places: tries at once.
        resolver: finds the addresses of names; the system's if None.
    """

    def __init__(self, reach: Reach, timeout_s: float, places: int, resolver: AbstractResolver | None = None) -> None:
        self._reach = reach
        self._timeout_s = timeout_s
        self._places = places
        self._resolver = resolver or _Lookup(places * _LOOKUPS_PER_PLACE)
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Sender:
        connector = aiohttp.TCPConnector(
            resolver=self._resolver,
            socket_factory=self._socket,
            limit=self._places,
            force_close=True,  # each delivery looks where it goes, and none meets a connection that is being closed
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
            auto_decompress=False,
            trust_env=False,
            headers={"User-Agent": _AGENT},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._session is not None
        await self._session.close()
        await self._resolver.close()

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """Post a body once, and tell how that went; raises nothing of what a receiver or its network can do."""
        began = asyncio.get_running_loop().time()
        status, error = None, None
        try:
            status, error = await self._post(normal_url(url, self._reach), headers, body)
        except TimeoutError:
            error = "timeout"
        except (aiohttp.ClientError, OSError) as failure:
            error = _reason(failure)
        except ValueError:  # not before the others: a certificate's error is one, too
            error = "url_refused"
        seconds = asyncio.get_running_loop().time() - began
        metrics.TRIES.labels(error or "delivered").inc()
        metrics.TRY_SECONDS.observe(seconds)
        return Outcome(error, status, round(seconds * 1000))

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str | None]:
        assert self._session is not None, "opened by `async with`"
        target = URL(url, encoded=True)
        async with self._session.post(target, data=body, headers=headers, allow_redirects=False) as answer:
            await _drain(answer)
            if answer.status in _REDIRECTS:
                return answer.status, "redirect"
            return answer.status, None if answer.status in _SUCCESS else "status"

    def _socket(self, where: tuple[Any, ...]) -> socket.socket:
        """A socket for an address that is about to be connected to.

        Raises:
            _AddressRefused: it isn't one that may be reached.
        """
        family, kind, protocol, _, address = where
        if not self._reach.private and not is_public(address[0]):
            raise _AddressRefused
        return socket.socket(family, kind, protocol)


async def _drain(answer: aiohttp.ClientResponse) -> None:
    """Hear a short answer out; that of any other is cut off."""
    left = _MOST_READ
    with suppress(aiohttp.ClientError, TimeoutError):
        async with asyncio.timeout(_READ_S):
            while left > 0 and (piece := await answer.content.read(left)):
                left -= len(piece)


def _reason(failure: Exception) -> str:
    if isinstance(failure, aiohttp.InvalidURL):
        return "url_refused"
    if isinstance(failure, aiohttp.ClientSSLError):
        return "tls"
    if isinstance(failure, aiohttp.ClientConnectorError):
        return "address_refused" if isinstance(failure.os_error, _AddressRefused) else "unreachable"
    if isinstance(failure, OSError | aiohttp.ClientConnectionError):
        return "unreachable"
    return "invalid_answer"


class _Lookup(AbstractResolver):
    """The system's resolver, in threads of its own: the loop's are few, and a receiver's name server may hang.

    Args:
        threads: lookups at once.
    """

    def __init__(self, threads: int) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="webhook lookup")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a host.

        Raises:
            OSError: there are none, or none can be found now.
        """
        look = partial(socket.getaddrinfo, host, port, family, socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=each,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for each, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Wait for no lookup that is still under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)
